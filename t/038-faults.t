# What goes wrong at a provider, on each protocol, streamed and not: what the
# run makes of it, and how often the provider is asked.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;

my $ASK = { name => 'ask', input_schema => { type => 'object' } };
my $FAILED = 'AgentLoopInferenceFailed';
my $LONG = 'prompt is too long: 200001 tokens > 200000 maximum';

# A fault, what it comes to ("" is the reply that follows), how often the
# provider is asked; then what is different where: by protocol, by the form of
# its bodies or by way, with undef for what does not exist there.
my %faults = (
    'status 400' => [ error(400, 'invalid_request_error', 'odd test-key'),
                      "$FAILED: .*400: odd \\[api key\\]", 1 ],
    'status 401' => [ error(401, 'authentication_error', 'who?'),
                      "$FAILED: .*401: who\\?", 1 ],
    'status 403' => [ error(403, 'permission_error', 'not you'),
                      "$FAILED: .*403: not you", 1 ],
    'status 404' => [ error(404, 'not_found_error', 'no such model'),
                      "$FAILED: .*404: no such model", 1 ],
    'status 413' => [ error(413, 'request_too_large', 'too large'),
                      'AgentLoopContextOverflow', 1 ],
    'status 422' => [ error(422, 'invalid_request_error', 'no'),
                      "$FAILED: .*422: no", 1 ],
    'too long' => [ error(400, 'invalid_request_error', $LONG),
                    'AgentLoopContextOverflow', 1 ],
    'a page of HTML' => [ { status => 403, body =>
        '<html><title>Blocked</title></html>' }, "$FAILED: .*403: Blocked", 1 ],
    map({ ("status $_" => [ error($_, 'api_error', 'busy'), '', 2 ]) }
        429, 503, 504),
    map({ ("status $_" => [ error($_, 'api_error', 'busy'), '', 2,
                            cortex => [ "$FAILED: .*$_: busy", 1 ] ]) }
        408, 500, 502, 529),
    'status 409' => [ error(409, 'conflict', 'again'), "$FAILED: .*409", 1,
                      anthropic => [ '', 2 ],
                      cortex => [ "$FAILED: .*409", 1 ] ],
    'status 424' => [ error(424, 'modelErrorException', 'later'),
                      "$FAILED: .*424", 1, bedrock => [ '', 2 ] ],
    'status 424, and again' => [ { error(424, 'modelErrorException', 'later')
        ->(), times => 9 }, "$FAILED: .*424", 1,
        bedrock => [ "$FAILED: .*424", 2 ] ],
    'status 522' => [ error(522, 'odd', 'late'), "$FAILED: .*522", 1,
                      anthropic => [ '', 2 ],
                      cortex => [ "$FAILED: .*522", 1 ] ],
    'an error with status 200' => [ error(200, 'overloaded_error', 'busy'),
        '', 2, bedrock => [ "$FAILED: .*output", 1 ],
        cortex => [ "$FAILED: .*200: busy", 1 ] ],
    'one that stays, with status 200' => [
        error(200, 'invalid_request_error', 'no: test-key'),
        "$FAILED: .*200: no: \\[api key\\]", 1,
        bedrock => [ "$FAILED: .*output", 1 ] ],
    'too long, with status 200' => [
        error(200, 'invalid_request_error', $LONG),
        'AgentLoopContextOverflow', 1,
        bedrock => [ "$FAILED: .*output", 1 ] ],
    'Retry-After' => [ { error(429, 'rate_limit_error', 'slow')->(),
        headers => { 'Retry-After' => 1 } }, '', 2 ],
    'down for good' => [ { error(503, 'api_error', 'down')->(), times => 9 },
                         "$FAILED: .*503: down", 3 ],
    'a reset before the answer' => [ { reset => 1 }, '', 2 ],
    'a reset in its midst' => [ { text => 'lost', mid => 'reset' }, '', 2 ],
    'an end in its midst' => [ { text => 'lost', mid => 'end' }, '', 2 ],
    'no JSON' => [ { text => 'lost', mid => 'garbage' }, '', 2,
                   whole => [ "$FAILED: .*JSON", 1 ] ],
    'an error in its midst that passes' => [ { text => 'lost', mid =>
        [ 'overloaded_error', 'busy' ] }, '', 2, whole => undef ],
    'an error in its midst that stays' => [ { text => 'lost', mid =>
        [ 'invalid_request_error', 'no: test-key' ] },
        "$FAILED: .*no: \\[api key\\]", 1, whole => undef ],
    'too long, in its midst' => [ { text => 'lost', mid =>
        [ 'invalid_request_error', $LONG ] }, 'AgentLoopContextOverflow', 1,
        whole => undef ],
    'a body of another kind' => [ { json => [] }, "$FAILED: .*", 1 ],
    'empty' => [ { text => '' }, 'AgentLoopSchemaDecodeFailed: .*empty', 1 ],
    'cut' => [ { text => 'half', finish => 'length' },
               'AgentLoopSchemaDecodeFailed: .*max_tokens', 1 ],
    'refused' => [ { refusal => 'I will not.' },
                   'AgentLoopRefused: .*I will not', 1 ],
    'filtered' => [ { text => 'x', finish => 'content_filter' },
                    'AgentLoopContentFiltered', 1,
                    anthropic => [ 'AgentLoopRefused', 1 ] ],
    'filtered by the policy' => [ error(400, 'invalid_request_error',
        'Output blocked by content filtering policy'),
        'AgentLoopContentFiltered', 1 ],
    'a guardrail' => [ { text => 'x', finish => 'guardrail_intervened' },
        'AgentLoopContentFiltered', 1, anthropic => undef ],
    'malformed' => [ { text => 'x', finish => 'malformed_tool_use' }, '', 1,
        bedrock => [ 'AgentLoopSchemaDecodeFailed', 1 ], openai => undef,
        anthropic => undef ],
    'no more context' => [ { text => 'x',
        finish => 'model_context_window_exceeded' },
        'AgentLoopContextOverflow', 1 ],
    'arguments that are no JSON' => [ { tools => [ [ 'ask', '{"q": ' ] ] },
                                      '', 2 ],
);

my $t = AgentsTest->new(
    location => 'agents_inference_timeout 20s; agents_max_runs_per_user 500;',
    AgentsTest::Protocols->configured('retries 2;'))->start;
my @models = map { my $protocol = $_;
                   map { { protocol => $protocol, way => $_,
                           name => $protocol->name . "-$_" } }
                   qw(streamed whole) } AgentsTest::Protocols->all;

# all at once: most of their time is waiting
for my $model (@models) {
    begin($model, grep { expected($model, $_) } sort keys %faults);
}
my %done;
for my $model (@models) {
    $done{$_->{id}} = $_ for map { $t->finished($_) } values %{$model->{runs}};
}
my @requests = @{$t->mock->requests};
for my $model (@models) {
    subtest $model->{name} => sub {
        ends($model, $_) for sort keys %{$model->{runs}};
    };
}
$t->clean;

done_testing;


sub error {
    my ($status, @words) = @_;
    return sub { (error => [ $status, @words ]) };
}


# The most special of what is said of this model: [ outcome, requests ].
sub expected {
    my ($model, $name) = @_;
    my (undef, @rest) = @{$faults{$name}};
    my ($outcome, $times, %own) = @rest;
    my $protocol = $model->{protocol};

    for ($protocol->name, $protocol->protocol, $protocol->form,
         $model->{way}) {
        return $own{$_} if exists $own{$_};
    }
    return [ $outcome, $times ];
}


sub begin {
    my ($model, @names) = @_;
    my $path = '/agents/conversations';
    my $body = $t->conversation_body(model => $model->{name},
                                     tools => [ $ASK ]);
    my @made = burst($t, map { [ 'POST', $path, $body ] } @names);
    my @begun = burst($t, map { my $c = $made[$_]{json};
        [ 'POST', "$path/$c->{id}/runs", run_of($model, $c, $names[$_]) ] }
        0 .. $#names);

    for (0 .. $#names) {
        die "$names[$_]: $made[$_]{status} $made[$_]{content},"
            . " $begun[$_]{status} $begun[$_]{content}\n"
            unless $begun[$_]{status} == 202;
        $model->{runs}{$names[$_]} = $begun[$_]{json};
    }
    return;
}


sub run_of {
    my ($model, $conversation, $name) = @_;
    my $fault = $faults{$name}[0];
    my %entry = ref $fault eq 'CODE' ? $fault->() : %$fault;
    return $t->run_body($conversation, script({ times => 1, %entry },
        { text => "after: $name, $model->{name}" }));
}


sub ends {
    my ($model, $name) = @_;
    my ($outcome, $times) = @{expected($model, $name)};
    my $run = $done{$model->{runs}{$name}{id}};
    my @asked = grep { index($_->{body}, "after: $name, $model->{name}") >= 0 }
                @requests;
    is scalar @asked, $times, "$name: asked";

    if ($outcome eq '') {
        is $run->{status}, 'completed', 'then it goes on'
            or diag explain $run->{error};
        is $run->{iterations_used}, $name =~ /^arguments/ ? 2 : 1,
           'as one iteration, or told to the model in another';
        cmp_ok $asked[1]{at} - $asked[0]{at}, '>=', 0.95, 'after its wait'
            if $name eq 'Retry-After';
        return;
    }
    my $error = $run->{error} || {};
    like "$error->{type}: $error->{message}", qr/^$outcome/s, 'fails'
        or diag explain $run->{error};
    return;
}
