# A provider's host, followed by nginx's resolver: a name server that changes its
# answers.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Dns;

my $dns = AgentsTest::Dns->start;
my $t = AgentsTest->new(store => 'sqlite', workers => 1,
    provider => 'retries 0; connect_timeout 2s;',
    http => 'resolver ' . $dns->address . ' ipv6=off;',
    replace => { 'endpoint http://127.0.0.1:%MOCK%' =>
                 'endpoint http://model.invalid:%MOCK%' })->start;

like $t->log, qr/\[warn\].*"scripted".*host not found.*resolver/,
   'a host that is not known when nginx starts';
my $run = answer();
is $run->{error}{type}, 'AgentLoopInferenceFailed', 'a run before it is';
like $run->{error}{message}, qr/host not found/, '    says so';

is_at('127.0.0.1');
becomes('completed', 'it is found while nginx runs');

# the connection to where it was is alive, and not used
is_at('127.0.0.2');
becomes('failed', 'it moves');
like answer()->{error}{message}, qr/could not be reached/,
   '    to where nobody listens';

is_at('127.0.0.2', '127.0.0.1');
becomes('completed', 'one address of two is enough');

is_at();
ok $t->wait_for(20, sub { $t->log =~ /the last addresses stay/ }),
   'a name that is gone is said';
is answer()->{status}, 'completed', '    and its last addresses stay';
my $asked = $dns->queries;
ok $t->wait_for(20, sub { $dns->queries > $asked }),
   '    it is asked for again';
is scalar(() = $t->log =~ /the last addresses stay/g), 1, '    and said once';

$t->clean('no error logged');

my $none = AgentsTest->new(store => 'sqlite',
    replace => { 'endpoint http://127.0.0.1:%MOCK%' =>
                 'endpoint http://model.invalid:%MOCK%' });
my ($status, $out) = $none->check;
isnt $status, 0, 'without a resolver it is refused';
like $out, qr/host not found in "http:.*model\.invalid.*nginx\.conf:\d+/,
   '    by its name and line';

done_testing;


# Its addresses from now on, for a second each time; none: no such name.
sub is_at {
    my @records = map { [ A => $_ ] } @_;
    $dns->set('model.invalid' => @records ? \@records : undef, ttl => 1);
    return;
}


sub answer {
    my $c = $t->conversation(name => 'named');
    return $t->finished($t->run($c, 'hello'));
}


sub becomes {
    my ($state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok $t->wait_for(20, sub { answer()->{status} eq $state }), $name;
    return;
}
