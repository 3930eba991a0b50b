# agentsctl check: a database that was used is clean, and each thing that can
# be wrong with one is found, named, and ends with 1.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

# What is broken, and what is said of it.  C is the conversation of calls, W the
# one that waits for outputs, RC and RW are their runs.
my @FAULTS = (
    [ 'a hole in the numbers',
      "UPDATE agents_messages SET sequence_no = 9 WHERE sequence_no = 6"
      . " AND conversation_id = 'C'",
      qr/message 9 comes after 5/ ],
    [ 'a version too low',
      "UPDATE agents_conversations SET version = 5 WHERE id = 'C'",
      qr/message 6 is beyond version 5/ ],
    [ 'a version too high',
      "UPDATE agents_conversations SET version = 7 WHERE id = 'C'",
      qr/version 7, and 6 messages/ ],
    [ 'a message of another run',
      "UPDATE agents_messages SET run_id = 'RW' WHERE sequence_no = 6"
      . " AND conversation_id = 'C'",
      qr/run RW: message 6 is of no run of this conversation/ ],
    [ 'a result that is missing',
      "DELETE FROM agents_messages WHERE conversation_id = 'C'"
      . " AND sequence_no = 3 AND part = 1",
      qr/1 tool calls before message 4 have no result/ ],
    [ 'a message that cannot be read',
      "UPDATE agents_messages SET content = '[{' WHERE sequence_no = 6"
      . " AND conversation_id = 'C'",
      qr/message 6 cannot be read/ ],
    [ 'a turn out of place',
      "UPDATE agents_messages SET turn_index = 7 WHERE sequence_no = 6"
      . " AND conversation_id = 'C'",
      qr/message 6 has the turn_index 7/ ],
    [ 'a result that nobody asked for',
      "UPDATE agents_messages SET content = '[{\"type\": \"tool_result\","
      . " \"tool_use_id\": \"none\", \"content\": []}]' WHERE sequence_no = 6"
      . " AND conversation_id = 'C'",
      qr/a result of none, which was not called/ ],
    [ 'an active run that has ended',
      "UPDATE agents_conversations SET active_run_id = 'RC' WHERE id = 'C'",
      qr/run RC: is active, and is no run/ ],
    [ 'a running run that is not active',
      "UPDATE agents_runs SET status = 'running', finished_at = NULL,"
      . " final_text = NULL WHERE id = 'RC'",
      qr/run RC: is running, and not the conversation's active run/ ],
    [ 'an end without its time',
      "UPDATE agents_runs SET finished_at = NULL WHERE id = 'RC'",
      qr/run RC: is completed, and has no finished_at/ ],
    [ 'an owner after the end',
      "UPDATE agents_runs SET owner = 'x' WHERE id = 'RC'",
      qr/run RC: is completed, and has an owner/ ],
    [ 'no such status',
      "UPDATE agents_runs SET status = 'odd' WHERE id = 'RC'",
      qr/run RC: has the status "odd"/ ],
    [ 'no answer',
      "UPDATE agents_runs SET final_text = NULL WHERE id = 'RC'",
      qr/run RC: is completed, and has 0 final answers/ ],
    [ 'an error without failure',
      "UPDATE agents_runs SET error_type = 'x' WHERE id = 'RC'",
      qr/run RC: is completed, and has an error/ ],
    [ 'job ids that do not fit',
      "UPDATE agents_runs SET job_ids = '[\"a\"]' WHERE id = 'RC'",
      qr/run RC: has 1 job ids for 3 iterations/ ],
    [ 'a job id twice',
      "UPDATE agents_runs SET job_ids = '[\"a\", \"a\", \"b\"]'"
      . " WHERE id = 'RC'",
      qr/run RC: has a job id twice/ ],
    [ 'calls that nobody waits for',
      "UPDATE agents_conversations SET pending_run_id = NULL WHERE id = 'W'",
      qr/1 calls have no result, 0 are waited for/ ],
    [ 'a pending run that waits for nothing',
      "UPDATE agents_conversations SET pending_run_id = 'RC' WHERE id = 'C'",
      qr/run RC: waits for outputs, and is no run/ ],
    [ 'pending calls of another name',
      "UPDATE agents_runs SET pending_tool_calls ="
      . " '[{\"tool_use_id\": \"other\"}]' WHERE id = 'RW'",
      qr/run RW: 1 calls have no result, 1 are waited for, 0 are both/ ],
    [ 'a conversation that is gone',
      "DELETE FROM agents_conversations WHERE id = 'W'",
      qr/which is not there: run RW\n.+ not there: 2 parts of messages/ ],
);

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store)->start;
    my %id = used($t);
    subtest "clean on $store" => sub { clean($t) };
    $t->clean("$store: no error logged");
    subtest "broken on $store" => sub { broken($t, %id) };
}

done_testing;


# Runs of every end; the ids by their names above.
sub used {
    my ($t) = @_;
    my %id;
    $t->flow('hello');
    $t->flow(script({ status => 400, json => {} }));
    my ($run, $c) = $t->flow(script(
        { tools => [ [ 'mcp-echo', { text => 'x' }, 'a' ],
                     [ 'mcp-add', { a => 1, b => 2 }, 'b' ] ] },
        { tools => [ [ 'mcp-fail', {}, 'c' ] ] }, { text => 'end' }),
        mcp => '');
    @id{qw(C RC)} = ($c->{id}, $run->{id});

    my @tools = (tools => [ { name => 'ask',
                              input_schema => { type => 'object' } } ]);
    ($run, $c) = $t->flow(script({ tools => [ [ 'ask', {}, 'q' ] ] }), @tools);
    @id{qw(W RW)} = ($c->{id}, $run->{id});

    ($run, $c) = $t->flow(script({ tools => [ [ 'ask', {}, 'q' ] ] },
                                 { text => 'yes' }), @tools);
    $t->finished($t->run($c, { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'q', content => 'yes' } ] }));

    $c = $t->conversation(mcp => '');
    $run = $t->run($c, script({ tools => [ [ 'mcp-slow',
                                             { seconds => 20 } ] ] }));
    $t->wait_for(10, sub {
        @{$t->get("/agents/runs/$run->{id}")->{json}{live}{messages}} });
    push @{$t->{cancelled}}, $run;
    $t->conversation;
    return %id;
}


sub clean {
    my ($t) = @_;
    my ($status, $out) = $t->ctl_status('check');
    is $status, 0, 'with a run under way' or diag $out;
    my $run = $t->{cancelled}[0];
    $t->post("/agents/runs/$run->{id}/cancel");
    is $t->finished($run)->{status}, 'failed', 'which is cancelled';

    ($status, $out) = $t->ctl_status('check');
    is $status, 0, 'exit status 0' or diag $out;
    like $out, qr/\A7 conversations, 7 runs, \d+ messages: no fault\z/,
         'what was looked at';
    return;
}


sub broken {
    my ($t, %id) = @_;
    my $set = sub {
        my ($text) = @_;
        $text =~ s/\b(C|RC|W|RW)\b/$id{$1}/g;
        return $text;
    };

    my @tables = qw(conversations runs messages);
    $t->sql("CREATE TABLE kept_$_ AS SELECT * FROM agents_$_") for @tables;

    for (@FAULTS) {
        my ($name, $break, $says) = @$_;
        $says = $set->("$says");
        $t->sql($set->($break));
        my ($status, $out) = $t->ctl_status('check');
        is $status, 1, "$name: exit status 1";
        like $out, qr/$says/, 'it says so';
        like $out, qr/: \d+ faults?\z/, 'and how many';
        $t->sql("DELETE FROM agents_$_; INSERT INTO agents_$_"
                . " SELECT * FROM kept_$_") for @tables;
    }

    my ($status, $out) = $t->ctl_status('check');
    is $status, 0, 'clean again' or diag $out;
    return;
}
