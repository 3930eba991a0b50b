# What keeps a conversation in order: versions, one run at a time, repeated
# client_op_ids.  Many writers at one instant are in t/035-two-writers.t.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    # reuseport spreads connections over the workers by itself
    my $t = AgentsTest->new(%$m,
        replace => { "listen 127.0.0.1:%PORT%;" =>
                     "listen 127.0.0.1:%PORT% reuseport;" })->start;

    subtest "versions on $store" => sub { versions($t) };
    subtest "an active run on $store" => sub { active_run($t) };
    subtest "a paused run on $store" => sub { paused_run($t) };
    subtest "tool outputs on $store" => sub { tool_outputs($t) };
    subtest "replay on $store" => sub { replay($t) };
    subtest "mismatch on $store" => sub { mismatch($t) };
    subtest "refused ids on $store" => sub { refused($t) };
    subtest "the order of the checks on $store" => sub { order($t) };
    $t->clean("$store: no error logged");
}

done_testing;


sub post_run {
    my ($t, $c, $body) = @_;
    return $t->post("/agents/conversations/$c->{id}/runs", $body);
}


sub is_conflict {
    my ($answer, $version, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, 409, "$name: 409" or diag $answer->{content};
    like $answer->{json}{type}, qr{/errors/version-conflict$}, 'type';
    is $answer->{json}{title}, 'Version Conflict', 'title';
    is $answer->{json}{current_version}, $version, 'current_version';
    return;
}


sub is_refused {
    my ($answer, $status, $slug, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, $status, $name || "$slug: $status"
        or diag $answer->{content};
    like $answer->{json}{type}, qr{/errors/\Q$slug\E$}, $slug;
    is $answer->{headers}{'content-type'}, 'application/problem+json',
       'a problem';
    return;
}


sub versions {
    my ($t) = @_;
    my $c = $t->conversation;

    for my $wrong (1, 5, 9_007_199_254_740_993) {
        is_conflict(post_run($t, $c, $t->run_body($c, 'x',
                    expected_version => $wrong)), 0, "expected $wrong");
    }

    $t->finished($t->run($c, 'one'));
    my $stale = post_run($t, $c, $t->run_body($c, 'two'));
    is_conflict($stale, 2, 'a stale version');
    ok !exists $stale->{json}{active_run_id}, 'no active run';
    ok !exists $stale->{json}{pending_run_id}, 'no pending run';
    ok !defined $stale->{headers}{'retry-after'}, 'no Retry-After';

    $c = $t->reread($c);
    is $c->{version}, 2, 'a text exchange moves it by two';
    is $t->finished($t->run($c, 'two'))->{status}, 'completed', 'the next';
    is $t->reread($c)->{version}, 4, 'and two more';

    my $page = $t->get("/agents/conversations/$c->{id}/messages?since=2");
    is_deeply [ map { $_->{sequence_no} } @{$page->{json}{messages}} ],
              [ 3, 4 ], 'the messages since';
    $page = $t->get("/agents/conversations/$c->{id}/messages?since=99");
    is_deeply $page->{json}{messages}, [], 'none above the version';
    is $page->{json}{current_version}, 4, 'which is told';
    return;
}


sub active_run {
    my ($t) = @_;
    my $c = $t->conversation;
    my $run = $t->run($c, script({ text => 'late', delay => 0.6 }));

    my $answer = post_run($t, $c, $t->run_body($c, 'x'));
    is_conflict($answer, 0, 'a second run');
    is $answer->{json}{active_run_id}, $run->{id}, 'active_run_id';
    is $answer->{headers}{'retry-after'}, 1, 'Retry-After';

    my $page = $t->get("/agents/conversations/$c->{id}/messages?since=0");
    is_deeply $page->{json}{messages}, [], 'nothing of it is a message yet';
    is $page->{json}{current_version}, 0, 'nor in the version';

    is $t->finished($run)->{status}, 'completed', 'the first run ends well';
    $c = $t->reread($c);
    is $t->finished($t->run($c, 'x'))->{final_text}, 'echo: x',
       'then the second may';
    return;
}


sub ask_tool {
    my ($t, @calls) = @_;
    my $c = $t->conversation(mcp => '', tools => [ { name => 'ask',
        input_schema => { type => 'object' } } ]);
    my $run = $t->finished($t->run($c, script({ tools => \@calls },
                                              { text => 'thanks' })));
    return ($t->reread($c), $run);
}


sub outputs {
    return { kind => 'tool_outputs', outputs => [
        map { { tool_use_id => $_, content => "of $_" } } @_ ] };
}


sub paused_run {
    my ($t) = @_;
    my ($c, $run) = ask_tool($t, [ 'ask', {}, 'call_1' ]);
    is $run->{status}, 'requires_action', 'it waits';

    my $answer = post_run($t, $c, $t->run_body($c, 'never mind'));
    is_conflict($answer, 2, 'a user message in between');
    is $answer->{json}{pending_run_id}, $run->{id}, 'pending_run_id';
    ok !exists $answer->{json}{active_run_id}, 'no active run';
    ok !defined $answer->{headers}{'retry-after'}, 'no Retry-After';

    my $next = $t->finished($t->run($c, outputs('call_1')));
    is $next->{final_text}, 'thanks', 'the outputs resume it';
    is $t->reread($c)->{version}, 4, 'from 2 to 4';
    is $t->get("/agents/runs/$run->{id}")->{json}{status}, 'requires_action',
       'the first run stays as it ended';
    return;
}


sub tool_outputs {
    my ($t) = @_;
    my ($c, $run) = ask_tool($t, [ 'ask', {}, 'a' ], [ 'mcp-echo',
                             { text => 'x' }, 'm' ], [ 'ask', {}, 'b' ]);
    is_deeply [ map { $_->{tool_use_id} } @{$run->{pending_tool_calls}} ],
              [ 'a', 'b' ], 'the caller\'s calls alone wait';

    my @wrong = (
        [ 'unknown-tool-use-id', 'a', 'b', 'c' ],
        [ 'unknown-tool-use-id', 'A', 'b' ],
        [ 'not-a-client-tool-call', 'a', 'b', 'm' ],
        [ 'incomplete-tool-outputs', 'a' ],
        [ 'incomplete-tool-outputs', 'a', 'b', 'b' ],
    );
    for (@wrong) {
        my ($slug, @ids) = @$_;
        is_refused(post_run($t, $c, $t->run_body($c, outputs(@ids))), 400,
                   $slug, "answers for @ids");
    }

    is $t->finished($t->run($c, outputs('b', 'a')))->{final_text}, 'thanks',
       'in any order';
    is_refused(post_run($t, $c, $t->run_body($t->reread($c), outputs('a'))),
               400, 'unknown-tool-use-id', 'with nothing pending');

    my @turns = @{$t->messages($c)};
    is_deeply [ map { $_->{role} } @turns ],
              [ qw(user assistant tool tool assistant) ], 'two tool turns';
    is_deeply [ map { $_->{run_id} } @turns[2, 3] ],
              [ $run->{id}, $turns[4]{run_id} ], 'of two runs';
    is_deeply [ map { join ' ', sort map { $_->{tool_use_id} }
                @{$_->{content_blocks}} } @turns[2, 3] ], [ 'm', 'a b' ],
              'each with its results';

    my ($prompt) = grep { $_->{path} =~ /completions/ }
                   reverse @{$t->mock->requests};
    is_deeply [ sort map { $_->{tool_call_id} }
                grep { $_->{role} eq 'tool' } @{$prompt->{json}{messages}} ],
              [ 'a', 'b', 'm' ], 'the model sees all three';
    return;
}


sub replay {
    my ($t) = @_;
    my $c = $t->conversation(name => 'replay');
    my $body = $t->run_body($c, script({ text => 'once', delay => 0.3 }));
    my $first = post_run($t, $c, $body);
    is $first->{status}, 202, 'accepted';
    ok !defined $first->{headers}{'idempotency-replayed'}, 'the first is none';

    my $again = post_run($t, $c, $body);
    is $again->{status}, 202, 'sent again while it runs';
    is $again->{headers}{'idempotency-replayed'}, 'true', 'a replay';
    is $again->{headers}{location}, $first->{headers}{location}, 'Location';
    is $again->{json}{id}, $first->{json}{id}, 'the same run';

    my $run = $t->finished($first->{json});
    $again = post_run($t, $c, $body);
    is $again->{status}, 202, 'sent again after its end';
    is_deeply $again->{json}, $run, 'the run as it is now';

    $body->{expected_version} = 77;
    $body->{client_op_id} = uc $body->{client_op_id};
    $body->{tool_choice} = { kind => 'auto' };
    $body->{config_override} = undef;
    $again = post_run($t, $c, $body);
    is $again->{status}, 202, 'expected_version, case and defaults count not'
        or diag $again->{content};
    is $again->{json}{id}, $run->{id}, 'the same run';
    is $t->reread($c)->{version}, 2, 'it ran once';

    my $other_run = $t->run($t->reread($c), script({ text => 'x',
        delay => 0.4, tools => [ [ 'ask', {}, 'a' ] ] }),
        config_override => { tools => [ { name => 'ask', description => undef,
            input_schema => { type => 'object', title => 'T' } } ] });
    is post_run($t, $c, $body)->{json}{id}, $run->{id},
       'it answers while another run is active';
    is $t->finished($other_run)->{status}, 'requires_action', 'which pauses';
    is post_run($t, $c, $body)->{json}{id}, $run->{id},
       'and while calls wait';

    my $answer = $t->run_body($t->reread($c), outputs('a'));
    my $resumed = $t->finished(post_run($t, $c, $answer)->{json});
    is post_run($t, $c, { %$answer, payload => { kind => 'tool_outputs',
        outputs => [ { is_error => JSON::PP::false, tool_use_id => 'a',
                       content => 'of a' } ] }, config_override => {} })
       ->{json}{id}, $resumed->{id}, 'a default that is spelled out';
    is post_run($t, $c, { client_op_id => $other_run->{client_op_id},
        expected_version => 0, payload => $other_run->{payload},
        config_override => { tools => [ {
            input_schema => { title => 'T', type => 'object' },
            name => 'ask' } ] } })->{json}{id}, $other_run->{id},
       'and one that is left out';

    my $other = $t->conversation;
    my $elsewhere = post_run($t, $other, { %$body, expected_version => 0 });
    isnt $elsewhere->{json}{id}, $run->{id},
         'in another conversation the id is free';
    $t->finished($elsewhere->{json});
    return;
}


sub mismatch {
    my ($t) = @_;
    my $c = $t->conversation;
    my $body = $t->run_body($c, 'one', config_override => {
                            temperature => 0.5, max_tokens => 100 });
    my $run = $t->finished(post_run($t, $c, $body)->{json});

    my %change = (
        payload => { payload => { kind => 'user_message', text => 'two' } },
        tool_choice => { tool_choice => { kind => 'any' } },
        config_override => { config_override => { temperature => 0.6,
                                                  max_tokens => 100 } },
        'no config_override' => { config_override => undef },
    );
    for my $what (sort keys %change) {
        is_refused(post_run($t, $c, { %$body, %{$change{$what}} }), 422,
                   'idempotency-mismatch', "another $what");
    }

    is post_run($t, $c, $body)->{json}{id}, $run->{id}, 'the same one again';
    my $sent = JSON::PP->new->encode($body);
    my $id = $body->{client_op_id};
    is post_run($t, $c, qq({"payload": {"text": "one", "kind": "user_message"},
        "config_override": {"max_tokens": 100, "temperature": 5e-1},
        "expected_version": 0, "client_op_id": "$id"}))->{json}{id},
       $run->{id}, 'the order of the keys counts not';
    return;
}


sub refused {
    my ($t) = @_;
    my $c = $t->conversation;
    my $body = $t->run_body($c, 'at last');

    is_conflict(post_run($t, $c, { %$body, expected_version => 3 }), 0,
                'a wrong version');
    is_refused(post_run($t, $c, { %$body, tool_choice =>
        { kind => 'specific_tool', name => 'none' } }), 400,
        'unknown-tool-choice-name');
    is_refused(post_run($t, $c, { %$body, config_override =>
        { model => 'no.such' } }), 400, 'invalid-effective-config');
    is_refused(post_run($t, $c, { %$body, payload => outputs('x') }), 400,
        'unknown-tool-use-id');
    is_refused(post_run($t, $c, { %$body, nonsense => 1 }), 400,
        'invalid-request');

    is $t->reread($c)->{version}, 0, 'nothing was written';
    my $answer = post_run($t, $c, $body);
    is $answer->{status}, 202, 'none of them used the id up';
    ok !defined $answer->{headers}{'idempotency-replayed'}, 'it is new';
    is $t->finished($answer->{json})->{final_text}, 'echo: at last', 'it runs';
    return;
}


# The first of several faults decides.
sub order {
    my ($t) = @_;
    my $c = $t->conversation;
    my $bad = { %{$t->run_body($c, 'x', expected_version => 9)},
                config_override => { model => 'no.such' } };

    is_refused($t->post('/agents/conversations/' . uuid() . '/runs',
                        { %$bad, more => 1 }), 400, 'invalid-request',
               'a bad body on a missing conversation');
    is_refused($t->post('/agents/conversations/' . uuid() . '/runs', $bad),
               404, 'not-found', 'then the conversation');
    is_refused(post_run($t, $c, $bad), 409, 'version-conflict',
               'then the version');
    is_refused(post_run($t, $c, { %$bad, expected_version => 0,
               tool_choice => { kind => 'specific_tool', name => 'none' } }),
               400, 'invalid-effective-config', 'then the configuration');

    my $run = $t->run($c, script({ text => 'x', delay => 0.4 }));
    is_refused(post_run($t, $c, { %$bad, expected_version => 0 }), 409,
               'version-conflict', 'the state comes before configuration');
    $t->finished($run);
    return;
}
