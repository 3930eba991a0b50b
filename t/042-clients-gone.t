# Clients that are gone in the middle of a request: nothing leaks, nothing
# half-read is acted on, and what was accepted ends.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep);

my $N = 60;

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m)->start;
    $t->wait_for(5, sub { $t->workers == $t->{workers} });
    my @workers = $t->workers;

    subtest "half a body on $store" => sub { half($t) };
    subtest "gone right after the body on $store" => sub { whole($t) };
    subtest "gone before a read is answered on $store" => sub { reads($t) };
    subtest "afterwards on $store" => sub {
        is_deeply [ sort $t->workers ], [ sort @workers ],
                  'the workers are the same';
        my ($run) = $t->flow('hello');
        is $run->{final_text}, 'echo: hello', 'and serve on';
        ok $t->wait_for(5, sub { connections($t) <= 2 }),
           'no connection is left' or diag connections($t);
    };
    $t->clean("$store: no error logged");
}

done_testing;


# Sends bytes and goes, half of the times with a reset.
sub send_and_go {
    my ($t, $bytes, $reset, $pause) = @_;
    my $socket = $t->socket;
    syswrite $socket, $bytes;
    sleep $pause if $pause;
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0 if $reset;
    close $socket;
    return;
}


# Connections to the server's port that are not closed yet.
sub connections {
    my ($t) = @_;
    my $port = sprintf ':%04X', $t->{port};
    return scalar grep { (split)[1] =~ /\Q$port\E$/ && (split)[3] eq '01' }
           split /\n/, AgentsTest::slurp('/proc/net/tcp');
}


sub post_bytes {
    my ($t, $c, $text) = @_;
    return request_bytes($t, 'POST', "/agents/conversations/$c->{id}/runs",
                         $t->run_body($c, $text));
}


sub half {
    my ($t) = @_;
    my @c = map { $t->conversation } 1 .. 4;
    for my $i (1 .. $N) {
        my $bytes = post_bytes($t, $c[$i % 4], 'x' x 5000);
        my $share = (0.99, 0.5, 0.1, 0.03)[$i % 4];
        send_and_go($t, substr($bytes, 0, $share * length $bytes), $i % 2,
                    $i % 10 ? 0 : 0.02);
    }
    sleep 0.3;
    is_deeply [ map { $t->reread($_)->{version} } @c ], [ (0) x 4 ],
              'nothing was begun';
    my @ends = map { $t->finished($t->run($_, 'y')) } @c;
    is_deeply [ map { $_->{final_text} } @ends ], [ ('echo: y') x 4 ],
              'no run stands in the way';
    return;
}


sub whole {
    my ($t) = @_;
    my @c = map { $t->conversation(mcp => '') } 1 .. $N / 3;
    for my $i (0 .. $#c) {
        my $bytes = post_bytes($t, $c[$i], script(
            { tools => [ [ 'mcp-echo', { text => 'x' } ] ], delay => 0.2 },
            { text => 'done' }));
        send_and_go($t, $bytes, $i % 2, (0, 0.001, 0.01)[$i % 3]);
    }

    # each was accepted or not; what was, ends, and all can go on
    my ($begun, @open) = (0);
    for my $c (@c) {
        my $answer;
        $t->wait_for(15, sub {
            $c = $t->reread($c);
            $answer = $t->post("/agents/conversations/$c->{id}/runs",
                               $t->run_body($c, 'y'));
            return $answer->{status} == 202;
        }) or push @open, $answer->{content};
        $begun++ if $c->{version} == 4;
        $t->finished($answer->{json}) if $answer->{status} == 202;
    }
    is_deeply \@open, [], "all can go on, $begun had begun";
    ok $begun > 0, 'those that were sent whole';
    is_deeply [ grep { my $m = $t->messages($_); @$m != 2 && @$m != 6 } @c ],
              [], 'their messages are whole';
    return;
}


sub reads {
    my ($t) = @_;
    my $c = $t->conversation;
    my $run = $t->finished($t->run($c, 'x' x 200_000));
    for my $i (1 .. $N) {
        my $path = $i % 3 ? "/agents/conversations/$c->{id}/messages?since=0"
                          : "/agents/runs/$run->{id}";
        send_and_go($t, request_bytes($t, 'GET', $path), $i % 2,
                    (0, 0.001, 0.005)[$i % 3]);
    }

    # those who stay may have had their read together with those who went
    my @got = map { $_->{status} . ' ' . length $_->{content} }
              burst($t, map { [ GET => "/agents/runs/$run->{id}" ] } 1 .. 20);
    my $whole = length $t->get("/agents/runs/$run->{id}")->{content};
    is_deeply \@got, [ ("200 $whole") x 20 ], 'those who stay are answered';
    is $t->reread($c)->{version}, 2, 'done';
    return;
}
