package AgentsTest::Protocols::Openai;

# Chat completions.

use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %STOP = (done => 'stop', tool => 'tool_calls', length => 'length',
            refused => 'stop', filtered => 'content_filter');


sub new { return bless {}, $_[0] }
sub name { return 'openai' }
sub form { return 'openai' }
sub protocol { return 'openai' }
sub path { return '/v1/chat/completions' }
sub endpoint { return '/v1' }
sub model { return 'scripted' }
sub type { return 'text/event-stream' }
sub owns { return $_[1] =~ m{/chat/completions\z} }


sub read {
    my ($self, $req) = @_;
    my $body = $req->{json};
    my $choice = $body->{tool_choice};

    return {
        model => $body->{model},
        stream => $body->{stream},
        max_tokens => $body->{max_completion_tokens} || $body->{max_tokens},
        temperature => $body->{temperature},
        format => $body->{response_format},
        system => join("\n\n", map { $_->{content} }
                       grep { $_->{role} eq 'system' } @{$body->{messages}}),
        messages => $body->{messages},
        tools => [ map { { %{$_->{function}},
                           schema => $_->{function}{parameters} } }
                   @{$body->{tools} || []} ],
        choice => ref $choice ? [ $choice->{function}{name} ]
                : defined $choice && $choice eq 'required' ? 'any' : $choice,
    };
}


sub wrong {
    my ($self, $req) = @_;
    my $body = $req->{json};
    my $why = AgentsTest::Protocols::members($body, [ qw(model messages) ],
        [ qw(max_completion_tokens max_tokens temperature tools tool_choice
             response_format stream stream_options) ]);
    return $why if $why;
    $why = $self->key($req) and return $why;
    return 'one limit of tokens'
        unless 1 == grep { exists $body->{$_} }
                    qw(max_completion_tokens max_tokens);
    return 'an empty list of tools'
        if $body->{tools} && !@{$body->{tools}};
    return 'stream_options without a stream'
        if $body->{stream_options} && !$body->{stream};

    my $first = 1;
    for my $message (@{$body->{messages}}) {
        $why = message($message, $first) and return $why;
        $first = 0;
    }
    for my $tool (@{$body->{tools} || []}) {
        $why = AgentsTest::Protocols::members($tool, [ qw(type function) ], [])
            || AgentsTest::Protocols::members($tool->{function},
                   [ qw(name parameters) ], [ qw(description strict) ]);
        return "a tool: $why" if $why;
    }
    return unless $body->{response_format};
    $why = AgentsTest::Protocols::members(
        $body->{response_format}{json_schema}, [ qw(name schema) ],
        [ qw(strict description) ]);
    return $why ? "response_format: $why" : undef;
}


sub key {
    my ($self, $req) = @_;
    return ($req->{headers}{authorization} || '') =~ /^Bearer \S+\z/
           ? undef : 'no bearer';
}


sub message {
    my ($message, $first) = @_;
    my $role = $message->{role} || '';
    my ($required, $optional)
        = $role eq 'assistant' ? ([ 'role' ], [ qw(content tool_calls) ])
        : $role eq 'tool' ? ([ qw(role tool_call_id content) ], [])
        : ([ qw(role content) ], []);
    my $why = AgentsTest::Protocols::members($message, $required, $optional);
    return "a message of $role: $why" if $why;
    return "no such role: $role" if $role !~ /^(?:system|user|assistant|tool)$/;
    return 'a system prompt in the midst' if $role eq 'system' && !$first;
    return 'an empty system prompt'
        if $role eq 'system' && !length $message->{content};
    return 'an empty text beside calls'
        if $role eq 'assistant' && defined $message->{content}
           && !length $message->{content};
    return 'an empty list of calls'
        if $message->{tool_calls} && !@{$message->{tool_calls}};

    for my $call (@{$message->{tool_calls} || []}) {
        $why = AgentsTest::Protocols::members($call, [ qw(id type function) ],
                                              [])
            || AgentsTest::Protocols::members($call->{function},
                                              [ qw(name arguments) ], []);
        return "a call: $why" if $why;
        return 'an id over 40 characters' if length $call->{id} > 40;
        return 'arguments that are no object' unless ref
            AgentsTest::Protocols::arguments($call->{function}{arguments})
            eq 'HASH';
    }
    return;
}


sub message_of {
    my ($reply) = @_;
    return $reply->{message} if $reply->{message};
    my @calls = map { { id => $_->{id}, type => 'function', function => {
                        name => $_->{name}, arguments => $_->{arguments} } } }
                @{$reply->{calls}};
    return {
        role => 'assistant',
        content => $reply->{text},
        defined $reply->{refusal} ? (refusal => $reply->{refusal}) : (),
        @calls ? (tool_calls => \@calls) : (),
        $reply->{thinking}
            ? (reasoning_content => $reply->{thinking}[0][0]) : (),
    };
}


sub body {
    my ($self, $reply) = @_;
    return {
        id => 'chatcmpl-test', object => 'chat.completion', created => 0,
        model => $reply->{model},
        choices => [ { index => 0, message => message_of($reply),
                       finish_reason => finish($reply) } ],
        usage => $reply->{usage},
    };
}


sub finish {
    my ($reply) = @_;
    return $STOP{$reply->{stop}} || $reply->{stop};
}


# Text and arguments in pieces, then the reason to stop, then the usage in an
# event without choices.
sub events {
    my ($self, $reply) = @_;
    my $message = message_of($reply);
    my @deltas = ({ role => 'assistant', content => '' });

    for my $field (qw(reasoning_content content refusal)) {
        my $text = $message->{$field};
        push @deltas, ref $text ? { $field => $text }
                      : map { { $field => $_ } }
                        AgentsTest::Protocols::pieces($text);
    }

    my $n = 0;
    for my $call (@{$message->{tool_calls} || []}) {
        my %function = %{$call->{function} || {}};
        my $arguments = delete $function{arguments};
        push @deltas, { tool_calls => [ { %$call, index => $n,
            function => { %function, arguments => '' } } ] };
        push @deltas, map { { tool_calls => [ { index => $n,
                              function => { arguments => $_ } } ] } }
                      ref $arguments ? $arguments
                      : AgentsTest::Protocols::pieces($arguments);
        $n++;
    }

    my @events = (
        map({ { choices => [ { index => 0, delta => $_,
                               finish_reason => undef } ] } } @deltas),
        { choices => [ { index => 0, delta => {},
                         finish_reason => finish($reply) } ] },
        { choices => [], usage => $reply->{usage} });

    return (map({ event({ id => 'chatcmpl-test',
                          object => 'chat.completion.chunk',
                          model => $reply->{model}, %$_ }) } @events),
            "data: [DONE]\n\n");
}


sub event { return 'data: ' . $json->encode($_[0]) . "\n\n" }


sub error {
    my ($self, $type, $message) = @_;
    return (json => { error => { message => $message, type => $type,
                                 param => undef, code => undef } });
}


sub broken {
    my ($self, $type, $message) = @_;
    return event({ error => { message => $message, type => $type } });
}


sub garbage { return "data: {\"choices\": [\n\n" }


1;
