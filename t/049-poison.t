# A run that brings down every worker that has it is given up at the third
# takeover.  Its neighbours complete, even those that died with it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(sleep time);

my @t = map { AgentsTest->new(store => $_, http => 'agents_lease 1s;')->start }
        AgentsTest->stores;
my @poison = map { { t => $_, deaths => 0, begin($_) } } @t;

# both at a time: leases have to end three times
while (my @on = grep { !$_->{end} } @poison) {
    strike($_) for @on;
    sleep 0.02;
}

for my $p (@poison) {
    my $t = $p->{t};
    my $name = $t->{postgres} ? 'postgres' : 'sqlite';
    subtest "a poisonous run on $name" => sub { given_up($p) };
    $t->allow(qr/exited on signal 9/);
    $t->clean("$name: no error logged");
}

done_testing;


# Runs of several steps, and among them one that asks for what kills.
sub begin {
    my ($t) = @_;
    my @runs = map {
        my $c = $t->conversation(name => "run $_", mcp => '');
        [ $c, $t->run($c, $_ == 5 ? script({ text => 'poison', delay => 60 })
            : script({ tools => [ [ 'mcp-echo', { text => "c$_" } ] ],
                       delay => 0.3 + $_ / 10 }, { text => 'end' })) ];
    } 1 .. 10;
    return (poison => splice(@runs, 4, 1), neighbours => \@runs,
            began => time);
}


# Kills the worker that has the run, once it has asked the model for it.
sub strike {
    my ($p) = @_;
    my $t = $p->{t};
    my ($owner, $status) = split /\|/, scalar $t->sql(
        "SELECT COALESCE(owner, ''), status FROM agents_runs"
        . " WHERE id = '$p->{poison}[1]{id}'");

    $p->{end} = 1 if $status eq 'failed' || time > $p->{began} + 60;
    return if $owner eq '' || $owner eq ($p->{last} || '');

    my $asked = grep { index($_->{body}, 'poison') != -1 }
                @{$t->mock->requests('/v1/chat')};
    return if $asked == $p->{deaths};
    my ($pid) = $t->log =~ /(\d+)#\d+: agents worker $owner/ or return;
    delete $t->{http_client};
    kill 'KILL', $pid;
    $p->{last} = $owner;
    $p->{deaths}++;
    return;
}


sub given_up {
    my ($p) = @_;
    my $t = $p->{t};
    my ($c, $run) = @{$p->{poison}};
    $run = $t->get("/agents/runs/$run->{id}")->{json};
    is $run->{status}, 'failed', 'it is given up';
    is $run->{error}{type}, 'AgentLoopAbandoned', 'as AgentLoopAbandoned';
    is $p->{deaths}, 3, 'after the third worker';
    is $t->reread($c)->{version}, 0, 'it has left nothing';

    my @wrong;
    for (@{$p->{neighbours}}) {
        my $end = $t->finished($_->[1], 30);
        push @wrong, $end if $end->{status} ne 'completed'
                             || $end->{final_text} ne 'end';
    }
    is_deeply \@wrong, [], 'and is alone in that' or diag explain \@wrong;
    is $t->finished($t->run($c, 'hello'))->{final_text}, 'echo: hello',
       'its conversation goes on';
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    return;
}
