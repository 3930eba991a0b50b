# How many runs one user may have that are not ended: agents_max_runs_per_user.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m, location => 'agents_max_runs_per_user 2;',
        replace => { 'listen 127.0.0.1:%PORT%;' =>
                     'listen 127.0.0.1:%PORT% reuseport;' });
    $t->start;
    subtest "two runs at a time on $store" => sub { two($t) };
    subtest "many requests at one instant on $store" => sub { many($t) };
    $t->clean("$store: nginx stopped, no error logged");
}

done_testing;


sub two {
    my ($t) = @_;
    my $slow = script({ text => 'done', delay => 1.5 });
    my @c = map { $t->conversation } 1 .. 3;
    my $body = $t->run_body($c[0], $slow);
    my $path = "/agents/conversations/$c[0]{id}/runs";
    my @runs = ($t->post($path, $body)->{json}, $t->run($c[1], $slow));

    my $third = $t->run_body($c[2], $slow);
    my $answer = $t->post("/agents/conversations/$c[2]{id}/runs", $third);
    is $answer->{status}, 429, 'a third is refused';
    like $answer->{json}{type}, qr{/too-many-runs$}, '    by its own name';
    is $answer->{headers}{'retry-after'}, 1, '    for now';

    $answer = $t->post($path, $body);
    is $answer->{status}, 202, 'a replay is none';
    is $answer->{json}{id}, $runs[0]{id}, '    and the same run';

    my $stale = $t->run_body($c[2], $slow);
    $stale->{expected_version} = 7;
    $answer = $t->post("/agents/conversations/$c[2]{id}/runs", $stale);
    is $answer->{status}, 409, 'what is wrong with the request comes first';

    my $other = $t->post('/agents/conversations', $t->conversation_body,
                         user => 'bea');
    $answer = $t->post("/agents/conversations/$other->{json}{id}/runs",
                       $t->run_body($other->{json}, 'hello'), user => 'bea');
    is $answer->{status}, 202, 'another user has runs of her own';

    is $t->finished($_)->{status}, 'completed', 'a run ends' for @runs;

    $answer = $t->post("/agents/conversations/$c[2]{id}/runs", $third);
    is $answer->{status}, 202, 'then the third may come, by the same id';
    $t->finished($answer->{json});
    return;
}


# None of them sees the others' runs when it is read.
sub many {
    my ($t) = @_;
    my $slow = script({ text => 'done', delay => 3 });
    my @c = map { $t->conversation(name => "c $_") } 1 .. 40;
    my @answers = burst($t, map { [ 'POST', "/agents/conversations/$_->{id}/runs",
                                    $t->run_body($_, $slow) ] } @c);
    my %times;
    $times{$_->{status}}++ for @answers;
    is_deeply \%times, { 202 => 2, 429 => 38 }, 'two are accepted';
    is $t->finished($_->{json})->{status}, 'completed', 'a run ends'
        for grep { $_->{status} == 202 } @answers;
    return;
}
