package AgentsTest::Protocols::Anthropic;

# The Messages API.

use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %STOP = (done => 'end_turn', tool => 'tool_use', length => 'max_tokens',
            refused => 'refusal', filtered => 'refusal');


sub new { return bless {}, $_[0] }
sub name { return 'anthropic' }
sub form { return 'anthropic' }
sub protocol { return 'anthropic' }
sub path { return '/v1/messages' }
sub endpoint { return '' }
sub model { return 'claude-scripted' }
sub type { return 'text/event-stream' }
sub owns { return $_[1] =~ m{/v1/messages\z} }


sub read {
    my ($self, $req) = @_;
    my $body = $req->{json};
    my $choice = $body->{tool_choice};

    return {
        model => $body->{model},
        stream => $body->{stream},
        max_tokens => $body->{max_tokens},
        temperature => $body->{temperature},
        format => $body->{output_config},
        system => join('', map { $_->{text} } @{$body->{system} || []}),
        messages => [
            map({ { role => 'system', content => $_->{text} } }
                @{$body->{system} || []}),
            map { common($_) } @{$body->{messages}} ],
        tools => [ map { { %$_, schema => $_->{input_schema} } }
                   @{$body->{tools} || []} ],
        choice => !$choice || $choice->{type} eq 'none' ? undef
                : $choice->{type} eq 'tool' ? [ $choice->{name} ]
                : $choice->{type},
    };
}


sub common {
    my ($message) = @_;
    my @blocks = @{$message->{content}};
    my $text = join "\n\n", map { $_->{text} }
                            grep { $_->{type} eq 'text' } @blocks;

    return ({ role => 'assistant', content => length $text ? $text : undef,
        opaque => [ grep { $_->{type} =~ /thinking/ } @blocks ],
        tool_calls => [ map { { id => $_->{id}, type => 'function',
            function => { name => $_->{name},
                          arguments => $json->encode($_->{input}) } } }
                        grep { $_->{type} eq 'tool_use' } @blocks ] })
        if $message->{role} eq 'assistant';

    return (map({ { role => 'tool', tool_call_id => $_->{tool_use_id},
                    content => $_->{content}, is_error => $_->{is_error} } }
                grep { $_->{type} eq 'tool_result' } @blocks),
            length $text ? { role => 'user', content => $text } : ());
}


sub wrong {
    my ($self, $req) = @_;
    my $body = $req->{json};
    my $why = AgentsTest::Protocols::members($body,
        [ qw(model max_tokens messages) ],
        [ qw(temperature tools tool_choice system output_config stream) ]);
    return $why if $why;
    return 'no anthropic-version' unless $req->{headers}{'anthropic-version'};
    $why = $self->key($req) and return $why;
    return 'an empty list of tools'
        if $body->{tools} && !@{$body->{tools}};

    for my $tool (@{$body->{tools} || []}) {
        $why = AgentsTest::Protocols::members($tool,
            [ qw(name input_schema) ], [ qw(description strict
                                            cache_control) ]);
        return "a tool: $why" if $why;
    }
    my $marks = 0;
    for my $block (@{$body->{system} || []}) {
        $why = block($block, 'system') and return "the system prompt: $why";
        $marks += !!$block->{cache_control};
    }
    my $last = 'assistant';
    for my $message (@{$body->{messages}}) {
        $why = AgentsTest::Protocols::members($message,
                                              [ qw(role content) ], []);
        return "a message: $why" if $why;
        return "two turns of $last" if $message->{role} eq $last;
        $last = $message->{role};
        $why = turn($message) and return "a turn of $last: $why";
        $marks += grep { $_->{cache_control} } @{$message->{content}};
    }
    return "it ends with $last" if $last ne 'user';
    return "$marks marks of the cache" if $marks > 4;
    return 'calls without tools'
        if !$body->{tools} && grep { $_->{type} eq 'tool_use' }
                              map { @{$_->{content}} } @{$body->{messages}};
    return unless $body->{output_config};
    my $format = $body->{output_config}{format};
    return 'no format' unless ($format->{type} || '') eq 'json_schema'
                              && ref $format->{schema} eq 'HASH';
    return;
}


sub key {
    my ($self, $req) = @_;
    return $req->{headers}{'x-api-key'} ? undef : 'no x-api-key';
}


sub turn {
    my ($message) = @_;
    my $others = 0;
    return 'nothing in it' unless @{$message->{content}};

    for my $block (@{$message->{content}}) {
        my $why = block($block, $message->{role});
        return $why if $why;
        my $type = $block->{type};
        return 'a result behind something else'
            if $type eq 'tool_result' && $others;
        $others++ if $type ne 'tool_result';
    }
    return 'it ends in thinking'
        if $message->{content}[-1]{type} =~ /thinking/;
    return;
}


my %BLOCK = (
    system => { text => [ [ 'text' ], [ 'cache_control' ] ] },
    user => {
        text => [ [ 'text' ], [ 'cache_control' ] ],
        tool_result => [ [ qw(tool_use_id content) ],
                         [ qw(is_error cache_control) ] ],
    },
    assistant => {
        text => [ [ 'text' ], [ 'cache_control' ] ],
        tool_use => [ [ qw(id name input) ], [ 'cache_control' ] ],
        thinking => [ [ qw(thinking signature) ], [] ],
        redacted_thinking => [ [ 'data' ], [] ],
    },
);

sub block {
    my ($block, $where) = @_;
    my $type = $block->{type} || '';
    my $form = $BLOCK{$where}{$type} or return "a block \"$type\"";
    my $why = AgentsTest::Protocols::members($block,
                  [ 'type', @{$form->[0]} ], $form->[1]);
    return "a block \"$type\": $why" if $why;
    return 'blank text'
        if $type eq 'text' && AgentsTest::Protocols::is_blank($block->{text});
    return 'input that is no object'
        if $type eq 'tool_use' && ref $block->{input} ne 'HASH';
    return 'thinking without its signature'
        if $type eq 'thinking' && !length $block->{signature};
    return 'a mark that is none' if $block->{cache_control}
        && ($block->{cache_control}{type} || '') ne 'ephemeral';
    return;
}


sub content {
    my ($reply) = @_;
    my $text = $reply->{refusal} // $reply->{text};
    return (
        map({ { type => 'thinking', thinking => $_->[0],
                signature => $_->[1] } } @{$reply->{thinking} || []}),
        defined $reply->{redacted}
            ? { type => 'redacted_thinking', data => $reply->{redacted} } : (),
        length($text // '') ? { type => 'text', text => $text } : (),
        map { { type => 'tool_use', id => $_->{id}, name => $_->{name},
                input => AgentsTest::Protocols::arguments($_->{arguments}) } }
            @{$reply->{calls}});
}


sub usage {
    my ($usage) = @_;
    my $reads = $usage->{cache_read} || 0;
    my $writes = $usage->{cache_write} || 0;
    return { input_tokens => $usage->{prompt_tokens} - $reads - $writes,
             cache_read_input_tokens => $reads,
             cache_creation_input_tokens => $writes,
             output_tokens => $usage->{completion_tokens} };
}


sub stop { return $STOP{$_[0]{stop}} || $_[0]{stop} }


sub body {
    my ($self, $reply) = @_;
    return {
        id => 'msg_test', type => 'message', role => 'assistant',
        model => $reply->{model}, content => [ content($reply) ],
        stop_reason => stop($reply), stop_sequence => undef,
        usage => usage($reply->{usage}),
    };
}


sub events {
    my ($self, $reply) = @_;
    my $usage = usage($reply->{usage});
    my @events = ({ type => 'message_start', message => {
        %{$self->body($reply)}, content => [], stop_reason => undef,
        usage => { %$usage, output_tokens => 1 } } }, { type => 'ping' });
    my ($n, $call) = (0, 0);

    for my $block (content($reply)) {
        my ($start, @deltas) = pieces_of($block,
            $block->{type} eq 'tool_use' ? $reply->{calls}[$call++] : undef);
        push @events, { type => 'content_block_start', index => $n,
                        content_block => $start },
             map({ { type => 'content_block_delta', index => $n,
                     delta => $_ } } @deltas),
             { type => 'content_block_stop', index => $n };
        $n++;
    }

    push @events, { type => 'message_delta', delta => {
        stop_reason => stop($reply), stop_sequence => undef },
        usage => { output_tokens => $usage->{output_tokens} } },
        { type => 'message_stop' };

    return map { event($_) } @events;
}


# A block as it starts, and what is added to it.
sub pieces_of {
    my ($block, $call) = @_;
    my $type = $block->{type};
    my @pieces = map { [ AgentsTest::Protocols::pieces($_) ] }
                 $type eq 'text' ? $block->{text}
                 : $type eq 'thinking' ? @$block{qw(thinking signature)}
                 : $call ? $call->{arguments} : ();

    return ({ type => 'text', text => '' },
            map { { type => 'text_delta', text => $_ } } @{$pieces[0]})
        if $type eq 'text';
    return ({ type => 'thinking', thinking => '', signature => '' },
            map({ { type => 'thinking_delta', thinking => $_ } }
                @{$pieces[0]}),
            map { { type => 'signature_delta', signature => $_ } }
                @{$pieces[1]})
        if $type eq 'thinking';
    return ({ %$block, input => {} },
            map { { type => 'input_json_delta', partial_json => $_ } }
                '', @{$pieces[0]})
        if $type eq 'tool_use';
    return $block;
}


sub event {
    my ($event) = @_;
    return "event: $event->{type}\ndata: " . $json->encode($event) . "\n\n";
}


sub error {
    my ($self, $type, $message) = @_;
    return (json => error_of($type, $message));
}


sub error_of {
    my ($type, $message) = @_;
    return { type => 'error', request_id => 'req_test',
             error => { type => $type, message => $message } };
}


sub broken {
    my ($self, $type, $message) = @_;
    return event(error_of($type, $message));
}


sub garbage { return "event: content_block_delta\ndata: {\"type\": \n\n" }


1;
