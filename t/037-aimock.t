# Replies by a mock of the providers that others have written: each protocol,
# streamed and not, with calls, thinking, structured answers and errors.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;

my $package = AgentsTest::Npm::package('@copilotkit/aimock', '1.43.0');
plan skip_all => AgentsTest::Npm::why() unless defined $package;

my $TEXT = "Hi \x{e4} \x{1f600}, this is a text of a few chunks.";
my $SCHEMA = { type => 'object', additionalProperties => JSON::PP::false,
    required => [ 'n' ], properties => { n => { type => 'integer' } } };
my @models = map { my $name = $_->name;
                   map { "$name-$_" } 'streamed', 'whole' }
             AgentsTest::Protocols->forms;

# What is said, in order, and what the run makes of it: its text, its structured
# answer, or its error.
my %cases = (
    text => [ [ { content => $TEXT } ], $TEXT ],
    thinking => [ [ { content => 'Thought.', reasoning => 'hmm',
        reasoningSignature => 'c2ln', redactedThinking => [ 'cmVk' ] } ],
        'Thought.' ],
    calls => [ [ { content => 'I will.', reasoning => 'hmm',
        reasoningSignature => 'c2ln', toolCalls => [
            { name => 'mcp-add', arguments => { a => 1, b => 2 } },
            { name => 'mcp-echo', arguments => { text => $TEXT } } ] },
        { content => '3' } ], '3' ],
    'a call before its text' => [ [ { blocks => [
        { type => 'toolCall', name => 'mcp-add',
          arguments => { a => 1, b => 2 } },
        { type => 'text', text => 'Let me see.' } ] }, { content => '3' } ],
        '3' ],
    structured => [ [ { content => '{"n": 3}' } ], { n => 3 } ],
    cut => [ [ { content => 'half', finishReason => 'length' } ],
             qr/^AgentLoopSchemaDecodeFailed/ ],
    empty => [ [ { content => '' } ], qr/^AgentLoopSchemaDecodeFailed/ ],
    'broken off' => [ [ { content => $TEXT, -truncateAfterChunks => 2 },
                        { content => 'whole' } ], 'whole' ],
    malformed => [ [ { content => 'x', -chaos => { malformedRate => 1 } } ],
                   qr/^AgentLoopInferenceFailed/ ],
    'a dropped connection' => [ [ { content => 'x', -chaos => {
        disconnectRate => 1 } }, { content => 'y' } ], 'y' ],
    limited => [ [ error(429, 'rate_limit_error', 'slow down'),
                   { content => 'x' } ], 'x' ],
    overloaded => [ [ error(529, 'overloaded_error', 'busy'),
                      { content => 'x' } ], 'x' ],
    'down for good' => [ [ (error(500, 'api_error', 'broken')) x 2 ],
                         qr/^AgentLoopInferenceFailed.*500.*broken/ ],
    'a bad request' => [ [ error(400, 'invalid_request_error', 'bad form') ],
                         qr/^AgentLoopInferenceFailed.*400.*bad form/ ],
    'a bad key' => [ [ error(401, 'authentication_error', 'no such key') ],
                     qr/^AgentLoopInferenceFailed.*401.*no such key/ ],
    'too long' => [ [ error(400, 'invalid_request_error',
        'prompt is too long: 200001 tokens > 200000 maximum') ],
        qr/^AgentLoopContextOverflow/ ],
);

my $port = AgentsTest::free_port();
my %conf = AgentsTest::Protocols->configured('retries 1;');
s/%MOCK%/$port/g for values %conf;
my $t = AgentsTest->new(%conf)->start;
save_fixtures($t->prefix . '/fixtures.json');
my $mock = AgentsTest::Npm->node($port, {}, "$package/dist/cli.js",
    '-p', $port, '-f', $t->prefix . '/fixtures.json', '--strict');

# all at once: some wait to be tried again
my %runs;
for my $model (@models) {
    $runs{$model}{$_} = begin($model, $_) for sort keys %cases;
}
for my $model (@models) {
    subtest $model => sub { ends($model, $_) for sort keys %cases };
}
$t->clean;

done_testing;


sub error {
    my ($status, $type, $message) = @_;
    return { status => $status, error => { message => $message,
             type => $type }, $status == 429 ? (retryAfter => 1) : () };
}


# An answer for each turn; what begins with a dash is the fixture's.
sub save_fixtures {
    my ($path) = @_;
    my @fixtures;
    for my $model (@models) {
        for my $name (sort keys %cases) {
            my $n = 0;
            for my $answer (@{$cases{$name}[0]}) {
                my %own = map { /^-(.*)/ ? ($1 => $answer->{$_}) : () }
                          keys %$answer;
                push @fixtures, { %own, chunkSize => 7,
                    match => { userMessage => "$name: $model",
                               sequenceIndex => $n++ },
                    response => { map { /^-/ ? () : ($_ => $answer->{$_}) }
                                  keys %$answer } };
            }
        }
    }
    open my $out, '>', $path or die "$path: $!\n";
    print $out JSON::PP->new->utf8->encode({ fixtures => \@fixtures });
    close $out or die "$path: $!\n";
    return;
}


sub begin {
    my ($model, $name) = @_;
    my $c = $t->conversation(model => $model, mcp => '',
        $name eq 'structured' ? (output_format_schema => $SCHEMA) : ());
    return [ $c, $t->run($c, "$name: $model") ];
}


sub ends {
    my ($model, $name) = @_;
    my ($c, $run) = @{$runs{$model}{$name}};
    my $expected = $cases{$name}[1];
    $run = $t->finished($run);

    if (ref $expected eq 'Regexp') {
        my $error = $run->{error} || {};
        return like "$error->{type}: $error->{message}", $expected,
                    "$name fails" || diag explain $run;
    }
    is $run->{status}, 'completed', $name or diag explain $run->{error};
    return is_deeply $run->{final_structured_output}, $expected, 'the answer'
        if ref $expected;
    $expected = $TEXT           # a body cannot be broken off there
        if $name eq 'broken off' && $model =~ /-whole$/;
    is $run->{final_text}, $expected, 'the text';
    is $run->{iterations_used}, 1 + ($name =~ /call/), 'iterations';
    return unless $name eq 'calls';

    my @messages = @{$t->messages($c)};
    is_deeply [ map { $_->{type} } @{$messages[1]{content_blocks}} ],
              [ qw(text tool_use tool_use) ], 'the calls';
    is_deeply [ map { $_->{arguments} }
                @{$messages[1]{content_blocks}}[1, 2] ],
              [ { a => 1, b => 2 }, { text => $TEXT } ], 'their arguments';
    return;
}
