# agentsctl check: a database that was used is clean, and each thing that can
# be wrong with one is found, named, and ends with 1.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

# What is broken, and what is said of it.  C is the conversation of calls, W the
# one that waits for outputs, RC and RW are their runs; T has two, R1 and R2.
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
    [ 'an owner that is no worker',
      "UPDATE agents_runs SET status = 'running', finished_at = NULL,"
      . " owner = 'nobody', final_text = NULL WHERE id = 'RC'; UPDATE"
      . " agents_conversations SET active_run_id = 'RC' WHERE id = 'C'",
      qr/run RC: has the owner nobody, which is no worker\n[^\n]* 1 fault\z/ ],
    [ 'two runs at a time',
      "UPDATE agents_runs SET status = 'running', finished_at = NULL,"
      . " final_text = NULL WHERE id IN ('R1', 'R2'); UPDATE"
      . " agents_conversations SET active_run_id = 'R2' WHERE id = 'T'",
      qr/run R1: is running, and not the conversation's active run/ ],
    [ 'parts that an ended run has left',
      "INSERT INTO agents_messages (company_id, user_id, conversation_id,"
      . " sequence_no, part, turn_index, live, created_at, role, run_id,"
      . " content) SELECT company_id, user_id, conversation_id, 7, 0, 5, live,"
      . " created_at, 'tool', run_id, '[]' FROM agents_messages"
      . " WHERE conversation_id = 'C' AND sequence_no = 6",
      qr/run RC: message 7 is beyond version 6, and not the active run's/ ],
    [ 'a message twice',
      "INSERT INTO agents_messages (company_id, user_id, conversation_id,"
      . " sequence_no, part, turn_index, live, created_at, role, run_id,"
      . " content) SELECT company_id, user_id, conversation_id, sequence_no,"
      . " part + 1, turn_index, live, created_at, role, run_id, content"
      . " FROM agents_messages WHERE conversation_id = 'C'"
      . " AND sequence_no = 6",
      qr/run RC: message 6 of the assistant has several parts/ ],
    [ 'parts of two runs',
      "UPDATE agents_messages SET run_id = 'RW' WHERE sequence_no = 3"
      . " AND part = 1 AND conversation_id = 'C'",
      qr/run RW: message 3 has parts of two roles or runs/ ],
    [ 'a role that there is not',
      "UPDATE agents_messages SET role = 'system' WHERE sequence_no = 1"
      . " AND conversation_id = 'C'",
      qr/run RC: message 1 has the role "system"/ ],
    [ 'a message before its run',
      "UPDATE agents_runs SET base_version = 5 WHERE id = 'RC'",
      qr/run RC: message 1, of a run that began at version 5/ ],
    [ 'a run from after the last message',
      "UPDATE agents_runs SET base_version = 9 WHERE id = 'RC'",
      qr/run RC: began at version 9, the conversation is at 6/ ],
    [ 'an epoch that there is not',
      "UPDATE agents_runs SET epoch = 0 WHERE id = 'RC'",
      qr/run RC: has epoch 0 and 0 takeovers/ ],
    [ 'a call twice',
      "UPDATE agents_messages SET content = (SELECT m.content FROM"
      . " agents_messages m WHERE m.conversation_id = 'C'"
      . " AND m.sequence_no = 2) WHERE conversation_id = 'C'"
      . " AND sequence_no = 4",
      qr/run RC: message 4: the call a is there twice/ ],
    [ 'a call of the user',
      "UPDATE agents_messages SET content = '[{\"type\": \"tool_use\","
      . " \"tool_use_id\": \"u\"}]' WHERE conversation_id = 'C'"
      . " AND sequence_no = 1",
      qr/message 1: the call u is there twice, or not the assistant's/ ],
    [ 'a call without an id',
      "UPDATE agents_messages SET content = '[{\"type\": \"tool_use\"}]'"
      . " WHERE conversation_id = 'C' AND sequence_no = 6",
      qr/run RC: message 6 has a tool_use without an id/ ],
    [ 'two results of a call',
      "UPDATE agents_messages SET content = '[{\"type\": \"tool_result\","
      . " \"tool_use_id\": \"a\", \"content\": []}]' WHERE sequence_no = 5"
      . " AND conversation_id = 'C'",
      qr/run RC: message 5: a result of a, which has one already/ ],
    [ 'job ids that cannot be read',
      "UPDATE agents_runs SET job_ids = '{' WHERE id = 'RC'",
      qr/run RC: has job ids that cannot be read/ ],
    [ 'pending calls of a run that has its answer',
      "UPDATE agents_runs SET pending_tool_calls ="
      . " '[{\"tool_use_id\": \"other\"}]' WHERE id = 'RC'",
      qr/run RC: is completed, and has 1 pending calls/ ],
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
    my $second = $t->finished($t->run($c, { kind => 'tool_outputs',
        outputs => [ { tool_use_id => 'q', content => 'yes' } ] }));
    @id{qw(T R1 R2)} = ($c->{id}, $run->{id}, $second->{id});

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
        $text =~ s/\b(C|RC|W|RW|T|R1|R2)\b/$id{$1}/g;
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
