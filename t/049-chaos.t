# Runs under way while workers, nodes and the store are killed, stopped and
# reloaded: the short form of "make chaos".

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Chaos;

my ($one) = AgentsTest->stores;
my $t = AgentsTest->new(store => $one, replace => {
    'listen 127.0.0.1:%PORT%;' => 'listen 127.0.0.1:%PORT% reuseport;' });
$t->start;
my @stray = stray($t);      # meanwhile

my @chaos = map { AgentsTest::Chaos->new(store => $_, clients => 4,
    seed => $ENV{AGENTS_SEED} || int rand 1e6,
    faults => [ grep { $_ ne 'few_files' } AgentsTest::Chaos::faults($_) ])
} AgentsTest->stores;

$_->begin(seconds => 5, every => 0.6) for @chaos;

while (my @on = grep { !$_->{calm} } @chaos) {
    $_->step || $_->calm for @on;
}
for my $chaos (@chaos) {
    subtest "chaos on $chaos->{store}" => sub {
        $chaos->verify;
        $chaos->stop;
    };
}

subtest "a run that its worker does not know on $one" => sub {
    my ($c, $run) = @stray;
    is $t->finished($run, 40)->{final_text}, 'end', 'it is taken up';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    is scalar(grep { ($_->{json}{method} || '') eq 'tools/call' }
              @{$t->mock->requests('/mcp')}), 1, 'its call was made once';
    $t->clean("$one: no error logged");
};

done_testing;


# The store says that a run is a live worker's, and it has heard nothing of it:
# as after a claim whose commit was done and whose answer was lost.
sub stray {
    my ($t) = @_;
    $t->wait_for(10, sub {
        $t->sql('SELECT count(*) FROM agents_workers') == 2 });
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script(
        { tools => [ [ 'mcp-echo', { text => 'x' } ] ] },
        { text => 'end', delay => 2 }));
    $t->wait_for(10, sub {
        @{$t->get("/agents/runs/$run->{id}")->{json}{live}{messages}} == 2 })
        or die "no call was made\n";
    $t->sql('UPDATE agents_runs SET epoch = epoch + 1, owner ='
        . ' (SELECT id FROM agents_workers WHERE id <> agents_runs.owner)'
        . " WHERE id = '$run->{id}'");
    return ($c, $run);
}
