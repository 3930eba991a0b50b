# Each endpoint as it answers when all is well, on each store, and what another
# user sees of it.  The model's provider is not there: a run fails, and so shows
# what a failed run looks like.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use JSON::PP;
use AgentsTest;

my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}
              -[0-9a-f]{12}/x;
my $time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
my $t;

for my $store (AgentsTest->stores) {
    $t = AgentsTest->new(store => $store,
        provider => 'retries 0;',
        replace => { 'endpoint http://127.0.0.1:%MOCK%/v1;' =>
                     'endpoint http://127.0.0.1:1/v1;' });
    $t->{http_client} = HTTP::Tiny->new(keep_alive => 0, timeout => 70);
    $t->allow(qr/connect|inference|provider/i);
    $t->start;

    subtest "conversations on $store" => \&conversations;
    subtest "names on $store" => \&names;
    subtest "pages on $store" => \&pages;
    subtest "runs on $store" => \&runs;
    subtest "lists of runs on $store" => \&run_lists;
    subtest "messages on $store" => \&messages;
    subtest "other users on $store" => \&others;
    subtest "the requests' ids on $store" => \&log_ids;

    $t->clean("$store: nginx stopped, no error logged");
}

done_testing;


sub conversations {
    my $posted = $t->post('/agents/conversations', {
        name => 'first', system_prompt => 'Be brief.', defaults => {
            model => $AgentsTest::MODEL, data_plane_id => $AgentsTest::PLANE,
            execution_cluster => 'shared' } });
    my $made = $posted->{json};

    is $posted->{status}, 201, 'POST: 201';
    like $posted->{headers}{'content-type'}, qr{^application/json}, 'JSON';
    is $posted->{headers}{location}, "/agents/conversations/$made->{id}",
       'Location';
    like $made->{id}, qr/^$uuid$/, 'the id is a UUID of version 7';
    like $made->{created_at}, qr/^$time$/, 'created_at';
    like $made->{updated_at}, qr/^$time$/, 'updated_at';
    is_deeply $made, {
        (map { $_ => $made->{$_} } qw(id created_at updated_at)),
        name => 'first', version => 0, system_prompt => 'Be brief.',
        defaults => {
            model => $AgentsTest::MODEL, data_plane_id => $AgentsTest::PLANE,
            execution_cluster => 'shared', max_iterations => 3,
            max_tokens => 2048, temperature => 0, mcp_servers => [],
            tools => [], output_format_schema => undef },
    }, 'the whole of it, with what is left out filled in';

    my $got = $t->get("/agents/conversations/$made->{id}");
    is $got->{status}, 200, 'GET: 200';
    is_deeply $got->{json}, $made, 'the same';

    for my $path (uc($made->{id}), '%' . sprintf('%02x', ord $made->{id})
                                   . substr $made->{id}, 1) {
        is $t->get("/agents/conversations/$path")->{status}, 200,
           'an id is the same in upper case and percent-encoded';
    }

    my $head = $t->request('HEAD', "/agents/conversations/$made->{id}");
    is $head->{status}, 200, 'HEAD: 200';
    is $head->{headers}{'content-length'}, length $got->{content},
       'the length of what GET sends';
    my $token = $t->token;
    my $raw = $t->raw("HEAD /agents/conversations/$made->{id} HTTP/1.1\r\n"
                      . "Host: x\r\nAuthorization: Bearer $token\r\n"
                      . "Connection: close\r\n\r\n");
    like $raw, qr{^HTTP/1\.1 200 .*\r\n\r\n\z}s, 'but not a byte of it';

    my $bare = $t->post('/agents/conversations',
        { defaults => { %{$made->{defaults}}, system_prompt => 'inside' } });
    is $bare->{json}{name}, undef, 'no name is null';
    is $bare->{json}{system_prompt}, 'inside', 'the prompt may be in defaults';
    ok !exists $bare->{json}{defaults}{system_prompt},
       'and comes back beside them';
    is $t->post('/agents/conversations', { name => '', defaults =>
        $made->{defaults} })->{json}{name}, undef, 'an empty name is null';
    return;
}


# PATCH: a name, and nothing else of a conversation.
sub names {
    my $made = $t->conversation(name => 'before');
    my $path = "/agents/conversations/$made->{id}";
    my $run = $t->finished($t->run($made, 'x'));
    my $now = $t->get($path)->{json};

    for my $case ([ 'after', 'after' ], [ "\x{20ac}" x 1000, "\x{20ac}" x 1000 ],
                  [ '', undef ], [ 'again', 'again' ], [ undef, undef ]) {
        my ($name, $is) = @$case;
        my $before = $t->get($path);
        my $run_before = $t->get("/agents/runs/$run->{id}");
        my $answer = $t->patch($path, { name => $name });
        my $label = defined $name ? '"' . length($name) . '"' : 'null';

        is $answer->{status}, 200, "name $label: 200";
        is_deeply $answer->{json}, { %$now, name => $is,
            updated_at => $answer->{json}{updated_at} },
            'the conversation, otherwise as it was';
        cmp_ok $answer->{json}{updated_at}, 'ge',
               $before->{json}{updated_at}, 'updated_at moves';
        my $got = $t->get($path);
        is_deeply $got->{json}, $answer->{json}, 'as GET has it';
        is $got->{headers}{etag}, $answer->{headers}{etag}, 'with its tag';
        isnt $got->{headers}{etag}, $before->{headers}{etag}, 'a new one';
        my $run_now = $t->get("/agents/runs/$run->{id}");
        is $run_now->{json}{live}{current_name}, $is, 'a run has it, too';
        isnt $run_now->{headers}{etag}, $run_before->{headers}{etag},
             'and a new tag by it';
    }

    my $before = $t->get($path);
    my $answer = $t->patch($path, {});
    is $answer->{status}, 200, 'nothing to change: 200';
    is_deeply $answer->{json}, $before->{json}, 'and nothing is changed';

    for my $body ({ name => 'x' x 1001 }, { name => 1 }, { name => ['x'] },
                  { title => 'x' }, { name => 'x', version => 3 },
                  { system_prompt => 'x' }, { defaults => {} }, [], 'x',
                  '{"name": "a", "name": "b"}', '{"name": "\u0000"}', '') {
        my $bad = $t->patch($path, $body);
        is $bad->{status}, 400, 'a bad body: 400';
        is $bad->{json}{type}, $t->base . '/errors/invalid-request', 'its type';
        ok @{$bad->{json}{errors}}, 'with the faults';
    }
    is $t->patch($path, 'name=x', headers => { 'Content-Type' =>
        'application/x-www-form-urlencoded' })->{status}, 415, 'a form: 415';
    is $t->patch($path, { name => 'x' }, permissions => [ 'read' ])->{status},
       403, 'without the permission to write: 403';
    is_deeply $t->get($path)->{json}, $before->{json}, 'all without effect';

    # a condition is judged with the write
    my $etag = $before->{headers}{etag};
    my %match = (headers => { 'If-Match' => $etag });
    is $t->patch($path, { name => 'one' }, %match)->{status}, 200,
       'If-Match with its tag: 200';
    for my $body ({ name => 'two' }, {}) {
        my $late = $t->patch($path, $body, %match);
        is $late->{status}, 412, 'and with one that was its tag: 412';
        is $late->{json}{type}, $t->base . '/errors/precondition-failed',
           'precondition-failed';
    }
    is $t->reread($made)->{name}, 'one', 'which has changed nothing';
    return;
}


sub pages {
    my @as = (user => 'pager');
    my $path = '/agents/conversations';
    my $empty = $t->get($path, @as);

    is_deeply $empty->{json}, { prev_page => undef, current_page => 1,
        next_page => undef, total_records => 0, total_pages => 0,
        records => [] }, 'an empty list';

    # those of one millisecond stand by their ids, which is not the order here
    my @made = map { select undef, undef, undef, 0.005;
                     $t->conversation(name => "c$_", as => { @as }) } 1 .. 5;
    my $all = $t->get($path, @as)->{json};
    is_deeply $all->{records}, [ reverse @made ], 'all of it, newest first';
    is_deeply [ @$all{qw(prev_page current_page next_page total_records
                         total_pages)} ], [ undef, 1, undef, 5, 1 ],
              'the envelope';

    my @cases = (
        # query, prev, current, next, total_pages, names
        [ 'per_page=2', undef, 1, 2, 3, 'c5 c4' ],
        [ 'page=2&per_page=2', 1, 2, 3, 3, 'c3 c2' ],
        [ 'per_page=2&page=3', 2, 3, undef, 3, 'c1' ],
        [ 'page=1&per_page=5', undef, 1, undef, 1, 'c5 c4 c3 c2 c1' ],
        [ 'per_page=1&page=5', 4, 5, undef, 5, 'c1' ],
        [ 'per_page=1000', undef, 1, undef, 1, 'c5 c4 c3 c2 c1' ],
        [ 'page=1&colour=blue&&x', undef, 1, undef, 1, 'c5 c4 c3 c2 c1' ],
        [ 'p%61ge=2&per_page=%34', 1, 2, undef, 2, 'c1' ],
    );
    for (@cases) {
        my ($query, $prev, $current, $next, $pages, $names) = @$_;
        my $answer = $t->get("$path?$query", @as);
        my $list = $answer->{json};
        is_deeply [ $answer->{status}, @$list{qw(prev_page current_page
                    next_page total_pages total_records)},
                    join ' ', map { $_->{name} } @{$list->{records}} ],
                  [ 200, $prev, $current, $next, $pages, 5, $names ], $query;
    }

    for my $page (4, 1_000_000, 1_000_000_000_000) {
        my $list = $t->get("$path?per_page=2&page=$page", @as);
        is_deeply [ $list->{status}, @{$list->{json}}{qw(current_page
                    next_page total_records total_pages records)} ],
                  [ 200, $page, undef, 5, 3, [] ], "page $page is empty";
    }
    is $t->request('HEAD', "$path?per_page=2", undef, @as)->{status}, 200,
       'HEAD';
    return;
}


sub runs {
    my $conversation = $t->conversation(max_iterations => 2, tools => [
        { name => 'confirm', input_schema => {} } ]);
    my $path = "/agents/conversations/$conversation->{id}/runs";
    my $operation = uc uuid();
    my $body = { client_op_id => $operation, expected_version => 0,
                 payload => { kind => 'user_message', text => 'hello' },
                 config_override => { temperature => 0.5, tools => undef } };
    my $posted = $t->post($path, $body);
    my $run = $posted->{json};

    is $posted->{status}, 202, 'POST: 202';
    is $posted->{headers}{location}, "/agents/runs/$run->{id}", 'Location';
    is $posted->{headers}{'idempotency-replayed'}, undef, 'no replay';
    like $run->{id}, qr/^$uuid$/, 'the id';
    like $run->{created_at}, qr/^$time$/, 'created_at';
    is $run->{started_at}, $run->{created_at}, 'started_at is set at once';
    is scalar @{$run->{submitted_inference_job_ids}}, 1, 'its first job';
    is_deeply $run, {
        (map { $_ => $run->{$_} } qw(id created_at started_at
                                     submitted_inference_job_ids)),
        conversation_id => $conversation->{id}, client_op_id => $operation,
        status => 'pending', finished_at => undef, iterations_used => 0,
        usage => { prompt_tokens => 0, completion_tokens => 0,
                   total_tokens => 0 },
        payload => $body->{payload}, tool_choice => { kind => 'auto' },
        effective_config => { %{$conversation->{defaults}},
                              temperature => 0.5 },
        pending_tool_calls => [], final_text => undef,
        final_structured_output => undef, error => undef,
        live => { current_name => 'a test', messages => [] },
    }, 'the whole of it';

    my $ended = $t->finished($run);
    is $ended->{status}, 'failed', 'without a provider it fails';
    like $ended->{finished_at}, qr/^$time$/, 'finished_at';
    is $ended->{error}{type}, 'AgentLoopInferenceFailed', 'error.type';
    is_deeply [ sort keys %{$ended->{error}} ],
              [ qw(docs_url message title type) ], 'the fields of an error';
    is $ended->{error}{docs_url}, $t->base . '/errors/inference-failed',
       'error.docs_url';
    is $t->get('/errors/inference-failed')->{status}, 200,
       'and that page is there';
    is $t->reread($conversation)->{version}, 0, 'the version stays';
    is_deeply $t->messages($conversation), [], 'nothing is committed';

    my $head = $t->request('HEAD', "/agents/runs/$run->{id}");
    is $head->{status}, 200, 'HEAD of a run';

    # the same request again, in other words
    my $again = $t->post($path, { %$body, client_op_id => lc $operation,
        expected_version => 7, tool_choice => { kind => 'auto' },
        config_override => { tools => undef, temperature => 0.50 } });
    is $again->{status}, 202, 'the same again: 202';
    is $again->{headers}{'idempotency-replayed'}, 'true', 'a replay';
    is $again->{headers}{location}, "/agents/runs/$run->{id}", 'Location';
    is_deeply $again->{json}, $ended, 'the run as it is now';

    for my $change ({ payload => { kind => 'user_message', text => 'x' } },
                    { tool_choice => { kind => 'any' } },
                    { config_override => { temperature => 0.6 } }) {
        my $other = $t->post($path, { %$body, %$change });
        is $other->{status}, 422, 'another ' . join('', keys %$change)
                                  . ' of the same id: 422';
        is $other->{json}{type}, $t->base . '/errors/idempotency-mismatch',
           'idempotency-mismatch';
        is $other->{json}{status}, 422, 'in the body too';
    }

    my $conflict = $t->post($path, $t->run_body({ version => 1 }, 'x'));
    is $conflict->{status}, 409, 'another version: 409';
    is $conflict->{json}{type}, $t->base . '/errors/version-conflict',
       'version-conflict';
    is $conflict->{json}{current_version}, 0, 'current_version';

    # a foreign id in another conversation is another operation
    my $second = $t->conversation;
    is $t->post("/agents/conversations/$second->{id}/runs", $body)->{status},
       202, 'a client_op_id is of one conversation';
    return;
}


# The same envelope as that of conversations, the same runs as GET shows.
sub run_lists {
    my $conversation = $t->conversation;
    my $path = "/agents/conversations/$conversation->{id}/runs";
    my $empty = $t->get($path);

    is $empty->{status}, 200, 'GET: 200';
    is_deeply $empty->{json}, { prev_page => undef, current_page => 1,
        next_page => undef, total_records => 0, total_pages => 0,
        records => [] }, 'an empty list';

    $t->finished($t->run($t->conversation, 'elsewhere'));
    my @runs = map { $t->finished($t->run($conversation, "r$_")) } 1 .. 5;
    my $all = $t->get($path)->{json};
    is_deeply $all->{records}, [ reverse @runs ], 'all of them, newest first';
    is_deeply [ @$all{qw(prev_page current_page next_page total_records
                         total_pages)} ], [ undef, 1, undef, 5, 1 ],
              'the envelope';

    for ([ 'per_page=2', undef, 1, 2, 3, 'r5 r4' ],
         [ 'per_page=2&page=2', 1, 2, 3, 3, 'r3 r2' ],
         [ 'per_page=2&page=3', 2, 3, undef, 3, 'r1' ],
         [ 'per_page=2&page=4', 3, 4, undef, 3, '' ],
         [ 'per_page=1000&page=1000000000000', 999999999999, 1000000000000,
           undef, 1, '' ]) {
        my ($query, $prev, $current, $next, $pages, $texts) = @$_;
        my $list = $t->get("$path?$query")->{json};
        is_deeply [ @$list{qw(prev_page current_page next_page total_pages
                    total_records)},
                    join ' ', map { $_->{payload}{text} } @{$list->{records}} ],
                  [ $prev, $current, $next, $pages, 5, $texts ], $query;
    }
    for my $query ('page=0', 'per_page=1001', 'per_page=x') {
        is $t->get("$path?$query")->{status}, 400, "$query: 400";
    }

    my $head = $t->request('HEAD', $path);
    is $head->{headers}{'content-length'}, length $t->get($path)->{content},
       'HEAD has the length';
    is $t->get("/agents/conversations/" . uc($conversation->{id}) . '/runs')
         ->{json}{total_records}, 5, 'an id in upper case';
    return;
}


sub messages {
    my $conversation = $t->conversation;
    my $path = "/agents/conversations/$conversation->{id}/messages";

    for my $query ('', '?since=0', '?since=5', '?limit=1', '?limit=1000',
                   '?since=1000000000000&limit=7', '?until=x') {
        my $answer = $t->get($path . $query);
        is $answer->{status}, 200, "messages$query: 200";
        is_deeply $answer->{json}, { current_version => 0, messages => [],
            has_more => JSON::PP::false }, 'none yet';
    }
    is $t->request('HEAD', $path)->{status}, 200, 'HEAD';
    return;
}


# What is another's is not told from what never was.
sub others {
    my $conversation = $t->conversation;
    my $run = $t->finished($t->run($conversation, 'x'));
    my $never = '01890000-0000-7000-8000-000000000000';
    my @strangers = ([ user => 'bob' ], [ company => 'other' ]);

    for my $case ([ 'GET', '/agents/conversations/%s', $conversation->{id} ],
                  [ 'GET', '/agents/conversations/%s/messages',
                    $conversation->{id} ],
                  [ 'GET', '/agents/conversations/%s/runs',
                    $conversation->{id} ],
                  [ 'POST', '/agents/conversations/%s/runs',
                    $conversation->{id} ],
                  [ 'PATCH', '/agents/conversations/%s',
                    $conversation->{id} ],
                  [ 'GET', '/agents/runs/%s', $run->{id} ]) {
        my ($method, $path, $id) = @$case;
        my $body = { POST => $t->run_body({}, 'x'),
                     PATCH => { name => 'x' } }->{$method};

        for my $stranger (@strangers) {
            my @seen = map {
                my $answer = $t->request($method, sprintf($path, $_), $body,
                                         @$stranger);
                my %h = %{$answer->{headers}};
                my %problem = %{$answer->{json}};
                delete @h{qw(date content-length)};
                delete @problem{qw(log_id instance)};
                [ $answer->{status}, \%h, \%problem ];
            } $id, $never, 'no-uuid', substr($id, 1), "${id}0", '%7f';

            is $seen[0][0], 404, "$method $path of another: 404";
            is $seen[0][2]{type}, $t->base . '/errors/not-found', 'not-found';
            is_deeply $seen[$_], $seen[0], 'like what never was'
                for 1 .. $#seen;
        }
    }

    my $bad = $t->post("/agents/conversations/$conversation->{id}/runs", '{}',
                       user => 'bob');
    is $bad->{status}, 400, 'a bad body is a 400 even there';
    is $t->get('/agents/conversations', user => 'bob')->{json}{total_records},
       0, 'a list has none of it';
    is $t->reread($conversation)->{name}, 'a test', 'no name was changed';
    return;
}


# log_id is nginx's request id, which the logs have too.
sub log_ids {
    my %seen;
    for my $path ('/agents/conversations/x', '/agents/conversations?page=0',
                  '/agents/nothing', '/agents/') {
        my $problem = $t->get($path)->{json};
        like $problem->{log_id}, qr/^[0-9a-f]{32}$/, "$path: a log_id";
        ok !$seen{$problem->{log_id}}++, 'of its own';
        like $t->log, qr/log_id: $problem->{log_id}/, 'in the error log';
    }
    return;
}
