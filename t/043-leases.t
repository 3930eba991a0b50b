# Leases that have ended, and those that only seem to have: a store that stands
# still takes no run off a worker that lives; the runs of one that is gone are
# taken over soon, however many they are, and though no worker stays for long.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(sleep time);

my $MODEL = '/v1/chat/completions';
my $ENDED = qr/agents runs had an owner whose lease has ended/;

for my $m (AgentsTest->matrix) {
    my $t = AgentsTest->new(%$m,
        http => 'agents_lease 1s; agents_drain_timeout 100ms;')->start;
    $t->allow(qr/takes no writes/);
    subtest "a store that stands still, $m->{name}" => sub { still($t) };
    subtest "workers that come and go, $m->{name}" => sub { passing($t) };
    $t->clean("$m->{name}: no error logged");
}

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store, workers => 1,
        http => 'agents_lease 1s; agents_max_runs 10;')->start;
    subtest "many runs of one worker, $store" => sub { many($t) };
    $t->clean("$store: no error logged, either");
}

done_testing;


# All leases end meanwhile, and nobody is gone.
sub still {
    my ($t) = @_;
    my @runs = map { $t->run($t->conversation(name => "still $_"),
                             script({ text => 'end', delay => 6 })) } 1 .. 6;
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} == @runs })
        or die "the model was not asked\n";
    my $held = $t->hold;
    sleep 4.5;
    close $held;

    is $t->finished($_)->{status}, 'completed', 'a run completes' for @runs;
    is scalar @{$t->mock->requests($MODEL)}, @runs, 'the model is asked once';
    unlike $t->log, $ENDED, 'no worker loses its runs';
    return;
}


# Each is told to leave before it is two seconds old.
sub passing {
    my ($t) = @_;
    $t->mock->forget;
    my $run = $t->run($t->conversation(name => 'passing'),
                      script({ text => 'end' }));
    $t->finished($run);
    lose($t, $run, 1);

    my $until = time + 10;
    while (unfinished($t) && time < $until) {
        $t->reload or die "no new workers\n";
        $t->wait_for(1.2, sub { !unfinished($t) });
    }
    is unfinished($t), 0, 'the run of one that is gone is taken over';
    return;
}


# More than one look takes off their owner.
sub many {
    my ($t) = @_;
    my $run = $t->run($t->conversation(name => 'many'),
                      script({ text => 'end' }));
    $t->finished($run);
    my $lost = lose($t, $run, 1200);
    $t->wait_for(20, sub { owned($t, $lost) < 1200 })
        or die "nobody looks for them\n";

    my $began = time;
    ok $t->wait_for(30, sub { !owned($t, $lost) }), 'all lose their owner';
    my $took = time - $began;
    ok $took < 12, sprintf '    one look after the other: %.1f s', $took;
    like $t->ctl('check'), qr/no fault/, 'agentsctl check';
    return;
}


sub owned {
    my ($t, $worker) = @_;
    return scalar $t->sql("SELECT COUNT(*) FROM agents_runs"
                          . " WHERE owner = '$worker'");
}


# So many copies of a run and its conversation, as they are right after the
# POST; their owner, whose id this gives, is a worker that is not there any more.
sub lose {
    my ($t, $run, $n) = @_;
    my $owner = uuid();
    my $id = "SUBSTR('$run->{id}', 1, 23) || '-"
             . sprintf('%04x', int rand 65536)
             . "' || CAST(10000000 + n.i AS TEXT)";
    my $copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                 . " SELECT i + 1 FROM n WHERE i < $n)";
    $t->sql("BEGIN;
        $copies INSERT INTO agents_conversations (company_id, user_id, id,
            name, name_rev, version, active_run_id, created_at, updated_at,
            defaults)
        SELECT company_id, user_id, $id, name, name_rev, 0, $id, created_at,
            updated_at, defaults
        FROM agents_conversations, n WHERE id = '$run->{conversation_id}';
        $copies INSERT INTO agents_runs (company_id, user_id, id,
            conversation_id, api, client_op_id, client_op_key, fingerprint,
            status, owner, epoch, takeovers, rev, base_version, cancel,
            iterations_used, prompt_tokens, completion_tokens, total_tokens,
            cache_read_tokens, cache_write_tokens, created_at, job_ids,
            pending_tool_calls, tool_choice, effective_config, payload)
        SELECT company_id, user_id, $id, $id, api, client_op_id,
            client_op_key, fingerprint, 'pending',
            '$owner', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            created_at, '[\"' || $id || '\"]', '[]', tool_choice,
            effective_config, payload
        FROM agents_runs, n WHERE id = '$run->{id}';
        COMMIT");
    return $owner;
}


sub unfinished {
    my ($t) = @_;
    return scalar $t->sql(
        'SELECT COUNT(*) FROM agents_runs WHERE finished_at IS NULL');
}
