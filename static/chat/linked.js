// @ts-check
// The message that the page's address leads to. It is taken out of the address,
// so that the same link leads there again, and a reload does not.

import { messageFrom } from "../shared/address.js";
import { hideFragment } from "../shared/invitation.js";

/** @import { Place } from "../shared/address.js" */
/** @import { Invitation } from "../shared/invitation.js" */

/**
 * The fragment of the address: an invitation, a message, both or neither.
 *
 * @param {Invitation} invitation takes the code
 * @returns {{ isInvited: boolean, linked: Place | null }}
 */
export function takeFromAddress(invitation) {
  const linked = messageFrom(location.hash);
  const isInvited = invitation.takeFromAddress();
  if (linked !== null && !isInvited) hideFragment();
  return { isInvited, linked };
}
