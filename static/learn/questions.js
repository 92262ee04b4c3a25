// @ts-check
// Counts the answers to the lesson's questions. A choice is a `details`:
// opening it tells why it is right or wrong, also where this script does not
// run. Only the first choice of a question counts; the browser keeps it, so
// that the score survives a reload.

import { byId } from "../shared/dom.js";

/** @import { KeptAnswer, Memory } from "../shared/storage.js" */

/** @typedef {{ id: string, choices: HTMLDetailsElement[] }} Question */

/** @param {Memory} memory */
export function setUpQuestions(memory) {
  const questions = questionsIn(document);
  for (const { id, choices } of questions) {
    for (const [choice, details] of choices.entries()) {
      // Not "toggle", which also comes when a kept answer is opened.
      details.querySelector("summary")?.addEventListener("click", () => {
        if (memory.answers.some(({ question }) => question === id)) return;
        memory.answers = [...memory.answers, { question: id, choice }];
        showScore(memory.answers);
      });
    }
    const answer = memory.answers.find(({ question }) => question === id);
    const chosen = choices[answer?.choice ?? -1];
    if (chosen !== undefined) chosen.open = true;
  }
  byId("score-again", HTMLButtonElement).addEventListener("click", () => {
    memory.answers = [];
    for (const { choices } of questions) {
      for (const details of choices) details.open = false;
    }
    showScore([]);
    const score = byId("score", HTMLElement);
    score.textContent = "Your answers are forgotten.";
    // The button, which had the focus, is gone.
    score.focus();
  });
  showScore(memory.answers);
}

/**
 * @param {ParentNode} part of the page
 * @returns {Question[]}
 */
function questionsIn(part) {
  return [...part.querySelectorAll(".question")].map((group) => ({
    id: group.id,
    choices: [...group.querySelectorAll("details")],
  }));
}

/**
 * Shows the whole score in the list of chapters, each chapter's in the chapter.
 *
 * @param {KeptAnswer[]} answers
 */
function showScore(answers) {
  const all = count(questionsIn(document), answers);
  byId("score-again", HTMLButtonElement).hidden = all.answered === 0;
  byId("score", HTMLElement).textContent = all.answered === 0
    ? ""
    : `${all.answered} of ${all.asked} questions answered, ` +
      `${all.right} right at the first try.`;
  for (const part of document.querySelectorAll(".questions")) {
    const { asked, answered, right } = count(questionsIn(part), answers);
    const tally = part.querySelector(".tally");
    if (tally === null) continue;
    tally.textContent = answered === 0 ? "" : `: ${right} of ${asked} right`;
  }
}

/**
 * @param {Question[]} questions
 * @param {KeptAnswer[]} answers
 */
function count(questions, answers) {
  const chosen = questions.flatMap(({ id, choices }) => {
    const answer = answers.find(({ question }) => question === id);
    return choices[answer?.choice ?? -1] ?? [];
  });
  const right = chosen.filter((it) => it.classList.contains("right")).length;
  return { asked: questions.length, answered: chosen.length, right };
}
