# The operator's hand: agentsctl runs list, show and cancel, and purge.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use AgentsTest;

my $json = JSON::PP->new->utf8;

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store)->start;
    subtest "runs list on $store" => sub { list($t) };
    subtest "runs show on $store" => sub { show($t) };
    subtest "runs cancel on $store" => sub { cancel($t) };
    subtest "purge on $store" => sub { purge($t) };
    $t->clean("$store: no error logged");
}

subtest 'a database that is not there' => \&nowhere;

done_testing;


# No new one is begun at a mistyped path, which would then be empty and sound.
sub nowhere {
    my $t = AgentsTest->new(store => 'sqlite');
    my $file = $t->prefix . '/typo.db';
    my $id = '01a2154b-689d-7bf6-9523-642b279ae8a8';

    for my $args ([ 'check' ], [ 'runs', 'list' ], [ 'runs', 'show', $id ],
                  [ 'runs', 'cancel', $id ], [ 'purge', '--older-than=1d' ],
                  [ 'token', 'list' ], [ 'token', 'revoke', $id ])
    {
        refused($t, 1, qr/there is no "\Q$file\E"/, @$args,
                "--store=sqlite:$file");
    }
    ok !-e $file, 'none was made';

    my ($exit) = $t->ctl_status('token', 'create', '--company=acme',
        '--user=ann', '--permission=read', "--store=sqlite:$file");
    is $exit, 0, 'token create makes one';
    is $t->ctl('check', "--store=sqlite:$file"),
       '0 conversations, 0 runs, 0 messages: no fault', 'it is one';
    return;
}


sub ids {
    my ($t, @args) = @_;
    return map { $_->{id} }
           @{$json->decode($t->ctl('runs', 'list', '--json', @args))};
}


sub refused {
    my ($t, $status, $says, @args) = @_;
    my ($exit, $out, $err) = $t->ctl_status(@args);
    is $exit, $status, "@args: exit status $status";
    like $err, $says, 'it says why';
    is $out || '', '', 'nothing on stdout';
    return;
}


sub list {
    my ($t) = @_;
    is_deeply [ ids($t) ], [], 'none yet';
    my $first = $t->flow('one');
    my $failed = $t->flow(script({ status => 400, json => {} }));
    my $bob = $t->conversation(as => { user => 'bob' });
    my $other = $t->finished($t->run($bob, 'two', as => { user => 'bob' }), 30,
                             user => 'bob');

    is_deeply [ ids($t) ], [ map { $_->{id} } $other, $failed, $first ],
              'of all users, the newest first';
    is_deeply [ ids($t, '--limit', 1) ], [ $other->{id} ], 'as many as asked';
    is_deeply [ ids($t, '--user', 'ann') ],
              [ $failed->{id}, $first->{id} ], "a user's";
    is_deeply [ ids($t, '--company', 'acme', '--user', 'bob') ],
              [ $other->{id} ], 'of a company';
    is_deeply [ ids($t, '--company', 'none') ], [], 'of another: none';
    is_deeply [ ids($t, '--status', 'failed') ], [ $failed->{id} ],
              'by status';

    my $table = $t->ctl('runs', 'list', '--status', 'failed');
    my $row = join ' +', $failed->{id}, 'failed', '\\S+Z',
        $failed->{conversation_id}, 'acme', 'ann', 'AgentLoopInferenceFailed';
    like $table, qr/\AID +STATUS +CREATED .+\n$row\z/, 'a table';

    refused($t, 2, qr/"odd" is no status/, qw(runs list --status odd));
    refused($t, 2, qr/"$_" is no limit/, qw(runs list --limit), $_)
        for 0, 1001, '5x', '-1';
    return;
}


sub show {
    my ($t) = @_;
    my $run = $t->flow('show me');
    my $shown = $json->decode($t->ctl('runs', 'show', $run->{id}));
    is_deeply { map { $_ => $shown->{$_} } grep { exists $run->{$_} }
                keys %$shown },
              { map { $_ => $run->{$_} } grep { exists $shown->{$_} }
                keys %$run }, 'what the API says of it, too';
    is $shown->{company_id}, 'acme', 'its company';
    is $shown->{user_id}, 'ann', 'its user';
    is $shown->{owner}, undef, 'no owner after its end';
    is $shown->{cancel}, JSON::PP::false, 'not cancelled';
    is $shown->{final_text}, 'echo: show me', 'what it said';

    refused($t, 1, qr/no run with the id "$_"/, qw(runs show), $_)
        for uuid(), 'x';
    refused($t, 2, qr/ID is missing/, qw(runs show));
    return;
}


sub cancel {
    my ($t) = @_;
    my $run = $t->run($t->conversation,
                      script({ text => 'late', delay => 30 }));
    $t->wait_for(10, sub {
        $t->get("/agents/runs/$run->{id}")->{json}{status} eq 'running' });
    like $t->ctl('runs', 'cancel', $run->{id}),
         qr/\A$run->{id} is running, and is to stop\z/, 'a run is cancelled';
    $run = $t->finished($run, 10);
    is $run->{error}{type}, 'AgentLoopCancelled', 'and ends so';
    like $t->ctl('runs', 'cancel', $run->{id}),
         qr/\A$run->{id} had ended: failed\z/, 'once more: it had ended';
    is_deeply $t->get("/agents/runs/$run->{id}")->{json}, $run, 'as it is';
    refused($t, 1, qr/no run with the id/, qw(runs cancel), uuid());
    return;
}


# What is old by its rows goes, with all that it had; what is younger, or has a
# run under way, stays.
sub purge {
    my ($t) = @_;
    my (undef, $old) = $t->flow('old', mcp => '');
    my (undef, $young) = $t->flow('young');
    my $empty = $t->conversation;
    my $busy = $t->conversation;
    my $run = $t->run($busy, script({ text => 'end', delay => 30 }));
    $t->sql("UPDATE agents_conversations SET updated_at = updated_at"
            . " - 86400000 WHERE id IN ("
            . join(', ', map { "'$_->{id}'" } $old, $empty, $busy) . ')');

    is $t->ctl(qw(purge --older-than 2d)),
       '0 conversations, 0 runs, 0 parts of messages', 'none is two days old';
    is $t->ctl(qw(purge --older-than 23h)),
       '2 conversations, 1 runs, 2 parts of messages', 'two are one day old';

    my $status = sub {
        $t->get("/agents/conversations/$_[0]{id}")->{status} };
    is $status->($old), 404, 'the old one is gone';
    is $status->($empty), 404, 'so is one without a run';
    is $status->($young), 200, 'the young one stays';
    is $status->($busy), 200, 'so does one with a run under way';
    is scalar @{$t->messages($young)}, 2, 'with all it had';
    is $t->ctl(qw(purge --older-than 23h)),
       '0 conversations, 0 runs, 0 parts of messages', 'no more of them';

    $t->ctl('runs', 'cancel', $run->{id});
    $t->finished($run, 10);
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';

    # more than is read, or deleted, at a time
    $t->conversation for 1 .. 20;
    my ($n) = $t->sql('SELECT count(*) FROM agents_conversations');
    my @rest = map { "('acme', 'zoe', 'x$_', 0, 0, 1, 1, '{}')" } 1 .. 600;
    $t->sql('INSERT INTO agents_conversations (company_id, user_id, id,'
            . ' name_rev, version, created_at, updated_at, defaults) VALUES '
            . join ', ', @rest);
    is $t->ctl(qw(purge --older-than 23h)),
       '600 conversations, 0 runs, 0 parts of messages', 'many';
    is $t->sql('SELECT count(*) FROM agents_conversations'), $n,
       'and those alone';

    refused($t, 2, qr/"$_" is no time/, qw(purge --older-than), $_)
        for '90', 'x', '0d', '-1d';
    refused($t, 2, qr/--older-than TIME is missing/, 'purge');
    return;
}
