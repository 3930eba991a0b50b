# limit_rate of the location: long answers and streams come at that rate, and
# come to their end.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Events;
use Time::HiRes qw(time);

my $t = AgentsTest->new(workers => 1, location => 'limit_rate 2m;');
$t->start;

# a prompt and its echo, of a million characters each
my $conv = $t->conversation;
my $run;
for (1 .. 2) {
    $run = $t->finished($t->run($conv, 'x' x 1_000_000), 30);
    $conv = $t->reread($conv);
}

subtest 'a list in slices' => sub {
    my $begun = time;
    my $list = $t->get("/agents/conversations/$conv->{id}/messages");
    my $took = time - $begun;
    is scalar @{$list->{json}{messages}}, 4, 'all of it';
    cmp_ok $took, '>', 0.5, 'not at once';
    cmp_ok $took, '<', 20, 'without a pause of send_timeout';
};

subtest 'a stream' => sub {
    my $begun = time;
    my @events = AgentsTest::Events->new($t, $run)->all;
    is $events[-1]{event}, 'end', 'to its end';
    cmp_ok time - $begun, '<', 20, 'without a pause';
};

$t->clean('no error logged');
done_testing;
