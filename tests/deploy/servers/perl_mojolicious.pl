# Perl's Mojolicious, as its documentation shows it.
use Mojo::Base -strict, -signatures;
use Mojo::Server::Daemon;
use Mojolicious;
use Mojolicious::Lite -signatures;

app->log->level('fatal');

websocket '/echo' => sub ($c) {
  $c->on(text   => sub ($c, $bytes) { $c->send({text   => $bytes}) });
  $c->on(binary => sub ($c, $bytes) { $c->send({binary => $bytes}) });
};

my %clients;
my $count = 0;

websocket '/chat' => sub ($c) {
  my $sender = 'guest-' . ++$count;
  my $tell   = sub ($message) {
    $_->send({json => {sender => $sender, message => $message}}) for values %clients;
  };
  $clients{$sender} = $c->tx;
  $c->on(message => sub ($c, $message) { $tell->($message) });
  $c->on(finish => sub { delete $clients{$sender}; $tell->('Client disconnected') });
};

my $daemon = Mojo::Server::Daemon->new(app => app, listen => ['http://127.0.0.1'], silent => 1)->start;
STDOUT->autoflush;
say $daemon->ports->[0], ' ', Mojolicious->VERSION;
Mojo::IOLoop->start;
