# A chat client with the user agent of Mojolicious, a Perl library: it sends each
# line that you type and prints what the others say. It takes the address of a
# server, ws://localhost:8000/ws if you give none, and needs Perl 5.20 or newer.
#   apt install libmojolicious-perl
#   perl perl_mojolicious.pl [ADDRESS]
use Mojo::Base -strict, -signatures;
use Mojo::IOLoop;
use Mojo::IOLoop::Stream;
use Mojo::UserAgent;
use Mojo::Util qw(decode trim);

binmode $_, ':encoding(UTF-8)' for *STDOUT, *STDERR;
STDOUT->autoflush;

# Shows control characters, so that no stranger controls this terminal.
sub visible ($text) {
  return $text =~ s/([\p{Cc}\x{2028}-\x{202e}\x{2066}-\x{2069}])/sprintf '\u%04x', ord $1/ger;
}

sub end ($status, $text) {
  say STDERR visible($text);
  exit $status;
}

sub talk ($tx) {
  my $stream = Mojo::IOLoop::Stream->new(\*STDIN)->timeout(0);
  my $typed  = '';
  $stream->on(read => sub ($stream, $bytes) {
    $typed .= $bytes;
    $tx->send(decode('UTF-8', $1) // $1) while $typed =~ s/^(.*?)\r?\n//;
  });
  $stream->on(close => sub ($stream) {
    $tx->send(decode('UTF-8', $typed) // $typed) if length $typed;
    $tx->finish(1000);
  });
  Mojo::IOLoop->stream($stream);
}

my $address = shift // 'ws://localhost:8000/ws';
# A chat may be quiet for as long as it likes.
my $ua = Mojo::UserAgent->new->inactivity_timeout(0);
$ua->websocket($address => sub ($ua, $tx) {
  if (!$tx->is_websocket) {
    my $error = $tx->error // {message => 'that is no WebSocket'};
    my $answer = $error->{code} ? substr trim($tx->res->text), 0, 200 : '';
    end(1, join ' ', "No connection to $address:", grep {length} $error->{code} // '', $error->{message}, $answer);
  }
  $tx->on(json => sub ($tx, $event) { say visible("$event->{sender}: $event->{message}") });
  $tx->once(finish => sub ($tx, $code, $reason) {
    end($code == 1000 ? 0 : 1, "Closed: $code " . ($reason // ''));
  });
  talk($tx);
});
Mojo::IOLoop->start;
