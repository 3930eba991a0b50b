# A provider that is down, slow, or answers anything but what it should: the
# run fails with its incident code or is tried again, and the workers serve on.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use IO::Compress::Gzip qw(gzip);
use Time::HiRes qw(time);

my $down = AgentsTest::free_port();

my $reply = '{"choices":[{"message":{"content":"unpacked"},'
            . '"finish_reason":"stop"}]}';
gzip(\$reply => \my $packed);

my $t = AgentsTest->new(
    location => 'agents_inference_timeout 4s;',
    provider => 'retries 1;',
    handlers => { '/thrice' => sub { { status => 503, body => 'busy' } },
                  '/coded' => sub { { body => $packed, headers => {
                    'Content-Encoding' => 'gzip' } } },
                  '/huge' => sub { { body => '{"choices": [{"message": {"content": "'
                    . 'x' x 20_000_000 . '"}}]}' } },
                  '/endless' => sub { { chunks => [
                    map { [ 0, 'x' x 1_000_000 ] } 1 .. 40 ] } } },
    http => join("\n", map { my ($name, $url) = @$_;
        "agents_provider $name { protocol openai; endpoint $url;"
        . ' api_key test-key; retries 1; }' }
        [ down => "http://127.0.0.1:$down/v1" ],
        [ huge => 'http://127.0.0.1:%MOCK%/huge/v1' ],
        [ endless => 'http://127.0.0.1:%MOCK%/endless/v1' ],
        [ coded => 'http://127.0.0.1:%MOCK%/coded/v1' ],
        [ quick => 'http://127.0.0.1:%MOCK%/v1' ])
        . 'agents_provider thrice { protocol openai; retries 2;'
        . ' endpoint http://127.0.0.1:%MOCK%/thrice/v1; api_key test-key; }',
    plane => join("\n", map { "model $_ provider=$_ id=$_ max_tokens=1000;" }
                        qw(down huge endless coded quick thrice)))->start;
$t->wait_for(5, sub { $t->workers == 2 });
my @workers = $t->workers;

# all at once: most of their time is waiting
my %failing = (
    'status 500 for ever' => [ { status => 500, body => 'broken' },
                               qr/500/, 2 ],
    'told not to ask again' => [ { status => 503, body => 'broken',
        headers => { 'X-Should-Retry' => 'false' } }, qr/503/, 1 ],
    'told to ask again' => [ { status => 400, body => 'odd',
        headers => { 'x-should-retry' => 'true' } }, qr/400/, 2 ],
    'status 401' => [ { status => 401, json => { error => { message =>
        'Incorrect API key: test-key', code => 'invalid_api_key' } } },
        qr/401.*Incorrect API key/s, 1 ],
    'the key at a cut' => [ { status => 400, json => { error => { message =>
        'x' x 493 . 'test-key and more' } } }, qr/x\[api key\]$/, 1 ],
    'the key in an error with status 200' => [ { json => { error => {
        message => 'no access for test-key here' } } },
        qr/no access for \[api key\] here/, 1 ],
    'status 403 as HTML' => [ { status => 403, body =>
        '<html><h1>Forbidden</h1></html>' }, qr/403/, 1 ],
    'status 404' => [ { status => 404, json => { error => { message =>
        'no such model' } } }, qr/404.*no such model/s, 1 ],
    'a quota that is used up' => [ { status => 429, json => { error => {
        message => 'pay', code => 'insufficient_quota' } } }, qr/429/, 1 ],
    'a redirect' => [ { status => 302, body => '', headers => {
        Location => '/elsewhere' } }, qr/302/, 1 ],
    'a Retry-After beyond the deadline' => [ { status => 429, body => 'slow',
        headers => { 'Retry-After' => 60 } }, qr/429/, 1 ],
    'nonsense' => [ { body => 'nonsense' }, qr/\w/, undef ],
    'an empty body' => [ { body => '' }, qr/\w/, undef ],
    'HTML with status 200' => [ { body => '<html>maintenance</html>' },
                                qr/\w/, undef ],
    'null' => [ { body => 'null' }, qr/\w/, undef ],
    'an array' => [ { json => [] }, qr/\w/, undef ],
    'an empty object' => [ { json => {} }, qr/\w/, undef ],
    'no choices' => [ { json => { choices => [] } }, qr/\w/, undef ],
    'a choice of the wrong type' => [ { json => { choices => [ 7 ] } },
                                      qr/\w/, undef ],
    'too deep' => [ { body => '[' x 100_000 }, qr/\w/, undef ],
    'no UTF-8' => [ { body => "{\"choices\": \"\xff\xfe\"}" }, qr/\w/, undef ],
    'a body that is cut off' => [ { body => '{"choices": [', length => 1000,
                                    close => 1 }, qr/\w/, 2 ],
    'a reset in the body' => [ { body => '{"choices": [{}]}', cut => 9,
                                 reset => 1 }, qr/\w/, 2 ],
    'a reset before the answer' => [ { reset => 1 }, qr/\w/, undef ],
    'no HTTP' => [ { raw => "hello\r\n\r\n" }, qr/\w/, undef ],
    'a hang before the answer' => [ { hang => 1 }, qr/time/i, undef ],
    'a hang in the body' => [ { body => '{', length => 100, hang => 1 },
                              qr/time/i, undef ],
    'a trickle' => [ { chunks => [ map { [ 1, ' ' ] } 1 .. 30 ] },
                     qr/time/i, undef ],
);
my %runs = map { $_ => start("fault: $_", $failing{$_}[0]) } keys %failing;
my %model = map { $_ => start("model $_", {}, model => $_) }
            qw(down huge endless);
my @thrice = map { start("model thrice $_", {}, model => 'thrice') } 1 .. 4;

subtest 'passing faults' => \&passing;
subtest 'Retry-After' => \&retry_after;
subtest 'a coding that was not asked for' => \&coded;
subtest 'longer and longer' => \&backoff;
subtest "a run that fails: $_" => sub { fails($_) } for sort keys %failing;
subtest 'a provider that is down' => sub { model_fails('down', qr/reach/) };
subtest 'a body without end' => sub { model_fails($_, qr/MiB/)
                                      for qw(huge endless) };
subtest 'a fault after a turn' => \&after_turn;
subtest 'nothing of the key leaves' => \&secret;
subtest 'the workers' => \&workers;
$t->clean;

done_testing;


# The scripted model's "times" tells runs apart by their text.
sub start {
    my ($name, $entry, %defaults) = @_;
    my $c = $t->conversation(name => $name, %defaults);
    my $run = $t->run($c, AgentsTest::Model::script($entry,
                          { text => 'never' }));
    return [ $c, $run ];
}


sub asked {
    my ($run) = @_;
    my $text = $run->{payload}{text};
    return grep { ($_->{json}{messages}[-1]{content} || '') eq $text }
           grep { $_->{path} =~ /completions/ } @{$t->mock->requests};
}


sub is_failed {
    my ($c, $run, $message) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', 'failed';
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'its code'
        or diag explain $run->{error};
    is $run->{error}{title}, 'Inference Failed', 'title';
    like $run->{error}{docs_url}, qr{/errors/inference-failed$}, 'page';
    like $run->{error}{message}, $message, 'message';
    ok length $run->{error}{message} < 2000, 'of a decent length';
    is $t->reread($c)->{version}, 0, 'nothing is committed';
    is_deeply $t->messages($c), [], 'no messages';
    is $run->{iterations_used}, 0, 'no iteration';
    return;
}


sub fails {
    my ($name) = @_;
    my ($message, $times) = @{$failing{$name}}[1, 2];
    my ($c, $run) = @{$runs{$name}};
    $run = $t->finished($run, 15);
    is_failed($c, $run, $message);
    is scalar asked($run), $times, "asked $times times" if defined $times;
    return;
}


sub model_fails {
    my ($name, $message) = @_;
    my ($c, $run) = @{$model{$name}};
    is_failed($c, $t->finished($run, 15), $message);
    return;
}


sub passing {
    my %entries = (
        map({ ("status $_" => { status => $_, body => 'busy' }) }
            408, 429, 500, 502, 503, 504, 529),
        'a reset' => { reset => 1 },
        'a cut body' => { body => '{"choi', length => 99, close => 1 },
    );
    my %started;
    for my $name (sort keys %entries) {
        $started{$name} = start($name, { %{$entries{$name}}, times => 1 });
    }
    for my $name (sort keys %entries) {
        my ($c, $run) = @{$started{$name}};
        $run = $t->finished($run);
        is $run->{status}, 'completed', "$name, then an answer"
            or diag explain $run->{error};
        is $run->{iterations_used}, 1, 'one iteration';
        is scalar @{$run->{submitted_inference_job_ids}}, 1, 'one job';
        is scalar asked($run), 2, 'asked twice';
    }
    return;
}


sub coded {
    my (undef, $run) = @{start('coded', {}, model => 'coded')};
    $run = $t->finished($run);
    is $run->{final_text}, 'unpacked', 'is undone'
        or diag explain $run->{error};
    my ($request) = @{$t->mock->requests('/coded')};
    is $request->{headers}{'accept-encoding'}, 'identity', 'none was wanted';
    return;
}


# Each form of it is waited for: seconds at least, and less than so many.
sub retry_after {
    my %form = (
        'seconds' => [ { 'Retry-After' => 2 }, 1.9 ],
        'with a fraction' => [ { 'Retry-After' => '1.250000' }, 1.2 ],
        'a date' => [ { 'Retry-After' => http_date(time + 3) }, 0.6 ],
        'milliseconds' => [ { 'retry-after-ms' => '1250.123456',
                              'Retry-After' => 1000 }, 1.2 ],
        'milliseconds that are none' => [ { 'retry-after-ms' => 'soon',
                                            'Retry-After' => 2 }, 1.9 ],
    );
    my %started = map { $_ => start("after $_", { status => 429,
        body => "slow down: $_", headers => $form{$_}[0], times => 1 }) }
        sort keys %form;

    for my $name (sort keys %form) {
        my ($c, $run) = @{$started{$name}};
        $run = $t->finished($run);
        is $run->{status}, 'completed', "asked again: $name";
        my @asked = asked($run);
        my $pause = $asked[1]{at} - $asked[0]{at};
        ok $pause >= $form{$name}[1] && $pause < 4,
           "after what it asked for: $pause s";
    }
    return;
}


# Each pause is twice the one before, less up to a quarter that chance decides.
sub backoff {
    is $t->finished($_->[1], 15)->{error}{type}, 'AgentLoopInferenceFailed',
       'three attempts are not enough' for @thrice;
    is scalar @{$t->mock->requests('/thrice')}, 3 * @thrice, 'there were three';

    my %waits;
    my $log = $t->log;
    push @{$waits{$1}}, $2 while $log =~
        /"thrice": attempt (\d+) failed, again in (\d+) ms/g;
    is_deeply [ map { scalar @{$waits{$_} || []} } 1 .. 3 ],
              [ scalar @thrice, scalar @thrice, 0 ], 'with a pause between';
    is_deeply [ grep { $_ < 375 || $_ > 500 } @{$waits{1}} ], [],
              "the first: @{$waits{1}} ms";
    is_deeply [ grep { $_ < 750 || $_ > 1000 } @{$waits{2}} ], [],
              "the second: @{$waits{2}} ms";
    my %all = map { $_ => 1 } @{$waits{1}}, @{$waits{2}};
    cmp_ok scalar keys %all, '>', 2, 'they differ';
    return;
}


sub http_date {
    my @at = gmtime shift;
    return sprintf '%s, %02d %s %d %02d:%02d:%02d GMT',
        (qw(Sun Mon Tue Wed Thu Fri Sat))[$at[6]], $at[3],
        (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[$at[4]],
        $at[5] + 1900, @at[2, 1, 0];
}


# What was done before the fault is kept.
sub after_turn {
    my $c = $t->conversation(mcp => '');
    my $run = $t->finished($t->run($c, script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { body => 'nonsense' })), 15);
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'failed';
    is $run->{iterations_used}, 1, 'one reply';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool) ], 'the turns so far are committed';
    is $t->reread($c)->{version}, 3, 'with the version';
    $run = $t->finished($t->run($t->reread($c), 'go on'));
    is $run->{final_text}, 'echo: go on', 'and the next run goes on';
    return;
}


sub secret {
    for (values %runs) {
        my $run = $t->get("/agents/runs/$_->[1]{id}");
        unlike $run->{json}{error}{message}, qr/test-/, 'not in a run';
    }
    unlike $t->log, qr/test-(?!sees)/, 'not in the log';
    return;
}


sub workers {
    is_deeply [ sort $t->workers ], [ sort @workers ], 'are the same';
    is $t->flow('hello')->{final_text}, 'echo: hello', 'and serve on';
    return;
}
