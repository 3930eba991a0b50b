package AgentsTest::Protocols::Bedrock;

# Converse and ConverseStream, the latter in AWS's event stream encoding.

use strict;
use warnings;
use Compress::Raw::Zlib qw(crc32);
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %STOP = (done => 'end_turn', tool => 'tool_use', length => 'max_tokens',
            refused => 'refusal', filtered => 'content_filtered');

# What the errors of others are called here.
my %EXCEPTION = (overloaded_error => 'throttlingException',
                 invalid_request_error => 'validationException');


sub new { return bless {}, $_[0] }
sub name { return 'bedrock' }
sub form { return 'bedrock' }
sub protocol { return 'bedrock' }
sub path { return '/model' }
sub endpoint { return '' }
sub model { return 'us.anthropic.claude-scripted-v1:0' }
sub type { return 'application/vnd.amazon.eventstream' }
sub owns { return $_[1] =~ m{/model/[^/]+/converse(?:-stream)?\z} }


sub read {
    my ($self, $req) = @_;
    my $body = $req->{json};
    my $config = $body->{toolConfig} || {};
    my $choice = $config->{toolChoice};
    my ($model) = $req->{path} =~ m{/model/([^/]+)/};
    $model =~ s/%([0-9A-F]{2})/chr hex $1/ge;
    my @system = grep { defined $_->{text} } @{$body->{system} || []};

    return {
        model => $model,
        stream => scalar($req->{path} =~ /-stream\z/),
        max_tokens => $body->{inferenceConfig}{maxTokens},
        temperature => $body->{inferenceConfig}{temperature},
        format => $body->{outputConfig},
        system => join('', map { $_->{text} } @system),
        messages => [
            map({ { role => 'system', content => $_->{text} } } @system),
            map { common($_) } @{$body->{messages}} ],
        tools => [ map { { %{$_->{toolSpec}},
                           schema => $_->{toolSpec}{inputSchema}{json} } }
                   grep { $_->{toolSpec} } @{$config->{tools} || []} ],
        choice => !$choice ? undef : $choice->{tool}
                  ? [ $choice->{tool}{name} ] : (keys %$choice)[0],
    };
}


sub common {
    my ($message) = @_;
    my @blocks = @{$message->{content}};
    my $text = join "\n\n", map { $_->{text} }
                            grep { defined $_->{text} } @blocks;

    return ({ role => 'assistant', content => length $text ? $text : undef,
        opaque => [ grep { $_->{reasoningContent} } @blocks ],
        tool_calls => [ map { { id => $_->{toolUseId}, type => 'function',
            function => { name => $_->{name},
                          arguments => $json->encode($_->{input}) } } }
                        map { $_->{toolUse} || () } @blocks ] })
        if $message->{role} eq 'assistant';

    return (map({ { role => 'tool', tool_call_id => $_->{toolUseId},
                    content => $_->{content}[0]{text},
                    is_error => $_->{status} eq 'error' } }
                map { $_->{toolResult} || () } @blocks),
            length $text ? { role => 'user', content => $text } : ());
}


sub wrong {
    my ($self, $req) = @_;
    my $body = $req->{json};
    my $why = AgentsTest::Protocols::members($body,
        [ qw(messages inferenceConfig) ],
        [ qw(system toolConfig outputConfig) ])
        || AgentsTest::Protocols::members($body->{inferenceConfig},
        [ 'maxTokens' ], [ 'temperature' ]);
    return $why if $why;
    return "a path that is not encoded: $req->{path}"
        unless $req->{path} =~ m{/model/[A-Za-z0-9._~%-]+/converse};

    my ($last, $tools) = ('assistant', 0);
    for my $block (@{$body->{system} || []}) {
        $why = block($block, 'system') and return "the system prompt: $why";
    }
    for my $message (@{$body->{messages}}) {
        $why = AgentsTest::Protocols::members($message,
                                              [ qw(role content) ], []);
        return "a message: $why" if $why;
        return "two turns of $last" if $message->{role} eq $last;
        $last = $message->{role};
        $why = turn($message) and return "a turn of $last: $why";
        $tools += grep { $_->{toolUse} || $_->{toolResult} }
                  @{$message->{content}};
    }
    return "it ends with $last" if $last ne 'user';
    return 'calls without toolConfig' if $tools && !$body->{toolConfig};
    return config($body->{toolConfig}) if $body->{toolConfig};
    return;
}


sub config {
    my ($config) = @_;
    my $why = AgentsTest::Protocols::members($config, [ 'tools' ],
                                             [ 'toolChoice' ]);
    return "toolConfig: $why" if $why;
    return 'an empty list of tools' unless @{$config->{tools}};
    for my $tool (@{$config->{tools}}) {
        $why = AgentsTest::Protocols::members($tool, [ 'toolSpec' ], [])
            || AgentsTest::Protocols::members($tool->{toolSpec},
                   [ qw(name inputSchema) ], [ qw(description strict) ])
            || AgentsTest::Protocols::members($tool->{toolSpec}{inputSchema},
                                              [ 'json' ], []);
        return "a tool: $why" if $why;
    }
    my $choice = $config->{toolChoice};
    return 'a choice that is none' if $choice && 1 != grep { $choice->{$_} }
                                                 qw(auto any tool);
    return;
}


sub turn {
    my ($message) = @_;
    my $others = 0;
    return 'nothing in it' unless @{$message->{content}};
    return 'nothing but a mark of the cache'
        if $message->{content}[0]{cachePoint};

    for my $block (@{$message->{content}}) {
        my $why = block($block, $message->{role});
        return $why if $why;
        return 'a result behind something else'
            if $block->{toolResult} && $others;
        $others++ unless $block->{toolResult};
    }
    return 'it ends in thinking'
        if $message->{content}[-1]{reasoningContent};
    return;
}


my %BLOCK = (
    system => { text => 1, cachePoint => 1 },
    user => { text => 1, cachePoint => 1, toolResult => 1 },
    assistant => { text => 1, toolUse => 1, reasoningContent => 1 },
);

sub block {
    my ($block, $where) = @_;
    my @kinds = keys %$block;
    return 'a block of ' . @kinds . ' members' if @kinds != 1;
    my $kind = $kinds[0];
    my $value = $block->{$kind};
    return "a block \"$kind\"" unless $BLOCK{$where}{$kind};

    return AgentsTest::Protocols::is_blank($value) ? 'blank text' : undef
        if $kind eq 'text';
    return AgentsTest::Protocols::members($value, [ 'type' ], [])
        if $kind eq 'cachePoint';
    return reasoning($value) if $kind eq 'reasoningContent';

    if ($kind eq 'toolUse') {
        return AgentsTest::Protocols::members($value,
                   [ qw(toolUseId name input) ], [])
            || (ref $value->{input} eq 'HASH' ? undef
                                              : 'input that is no object');
    }
    my $why = AgentsTest::Protocols::members($value,
                  [ qw(toolUseId content status) ], []);
    return "a result: $why" if $why;
    return 'a result without a text' unless @{$value->{content}};
    return 'blank text in a result' if grep {
        AgentsTest::Protocols::is_blank($_->{text}) } @{$value->{content}};
    return 'a status that is none' if $value->{status} !~ /^(?:success|error)$/;
    return;
}


sub reasoning {
    my ($value) = @_;
    return if defined $value->{redactedContent} && keys %$value == 1;
    return AgentsTest::Protocols::members($value, [ 'reasoningText' ], [])
        || AgentsTest::Protocols::members($value->{reasoningText},
                                          [ qw(text signature) ], [])
        || (length $value->{reasoningText}{signature} ? undef
                                      : 'reasoning without its signature');
}


sub content {
    my ($reply) = @_;
    my $text = $reply->{refusal} // $reply->{text};
    return (
        map({ { reasoningContent => { reasoningText => {
                text => $_->[0], signature => $_->[1] } } } }
            @{$reply->{thinking} || []}),
        defined $reply->{redacted} ? { reasoningContent => {
                redactedContent => $reply->{redacted} } } : (),
        length($text // '') ? { text => $text } : (),
        map { { toolUse => { toolUseId => $_->{id}, name => $_->{name},
                input => AgentsTest::Protocols::arguments($_->{arguments}) } } }
            @{$reply->{calls}});
}


sub usage {
    my ($usage) = @_;
    my $reads = $usage->{cache_read} || 0;
    my $writes = $usage->{cache_write} || 0;
    return { inputTokens => $usage->{prompt_tokens} - $reads - $writes,
             outputTokens => $usage->{completion_tokens},
             totalTokens => $usage->{prompt_tokens}
                            + $usage->{completion_tokens},
             cacheReadInputTokens => $reads,
             cacheWriteInputTokens => $writes };
}


sub stop { return $STOP{$_[0]{stop}} || $_[0]{stop} }


sub body {
    my ($self, $reply) = @_;
    return { output => { message => { role => 'assistant',
                                      content => [ content($reply) ] } },
             stopReason => stop($reply), usage => usage($reply->{usage}),
             metrics => { latencyMs => 1 } };
}


sub events {
    my ($self, $reply) = @_;
    my @events = ([ messageStart => { role => 'assistant' } ]);
    my ($n, $call) = (0, 0);

    for my $block (content($reply)) {
        my @deltas = deltas($block, $reply->{calls}[$call]);

        # text has no start of its own
        if (my $use = $block->{toolUse}) {
            $call++;
            push @events, [ contentBlockStart => { contentBlockIndex => $n,
                start => { toolUse => { toolUseId => $use->{toolUseId},
                                        name => $use->{name} } } } ];
        }
        push @events, map({ [ contentBlockDelta => {
                                 contentBlockIndex => $n, delta => $_ } ] }
                          @deltas),
             [ contentBlockStop => { contentBlockIndex => $n } ];
        $n++;
    }

    push @events, [ messageStop => { stopReason => stop($reply) } ],
         [ metadata => { usage => usage($reply->{usage}),
                         metrics => { latencyMs => 1 } } ];

    return map { frame(':event-type', $_->[0], 'event',
                       $json->encode({ %{$_->[1]}, p => 'abcdefgh' })) }
           @events;
}


sub deltas {
    my ($block, $call) = @_;

    return map { { toolUse => { input => $_ } } }
           AgentsTest::Protocols::pieces($call->{arguments})
        if $block->{toolUse};
    return map { { text => $_ } } AgentsTest::Protocols::pieces($block->{text})
        if defined $block->{text};

    my $reasoning = $block->{reasoningContent};
    return { reasoningContent => $reasoning }
        if defined $reasoning->{redactedContent};
    my $text = $reasoning->{reasoningText};
    return map { my $field = $_;
                 map { { reasoningContent => { $field => $_ } } }
                 AgentsTest::Protocols::pieces($text->{$field}) }
           qw(text signature);
}


# Headers are names and texts; two checksums, of the prelude and of all.
sub frame {
    my ($kind, $type, $message, $payload) = @_;
    my $headers = join '', map { pack 'C/a* C n/a*', $_->[0], 7, $_->[1] }
        [ $kind, $type ], [ ':content-type', 'application/json' ],
        [ ':message-type', $message ];
    my $prelude = pack 'NN', 16 + length($headers) + length $payload,
                       length $headers;
    my $frame = $prelude . pack('N', crc32($prelude)) . $headers . $payload;
    return $frame . pack 'N', crc32($frame);
}


sub error {
    my ($self, $type, $message) = @_;
    return (json => { message => $message },
            headers => { 'x-amzn-errortype' => $type });
}


sub broken {
    my ($self, $type, $message) = @_;
    return frame(':exception-type', $EXCEPTION{$type} || $type, 'exception',
                 $json->encode({ message => $message }));
}


# A frame as it should be, but for its checksum.
sub garbage {
    my $frame = frame(':event-type', 'contentBlockDelta', 'event',
        '{"contentBlockIndex":0,"delta":{"text":"lost"}}');
    substr($frame, -1) ^= "\1";
    return $frame;
}


1;
