package AgentsTest::Model;

# A scripted model that speaks OpenAI's chat completions, as a handler for
# AgentsTest::Server.  What it does is in the conversation: the last user
# message is either plain text, which it echoes ("echo: TEXT"), or JSON that
# scripts the run, one entry per inference since that message:
#
#     AgentsTest::Model::script(
#         { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
#         { text => 'three' },
#     )
#
# An entry has any of
#
#     text     => the reply's text        tools => [ [ name, arguments, id ] ]
#                                         (a string as arguments goes as it
#                                         stands, valid JSON or not)
#     finish   => finish_reason           refusal => text
#     usage    => { ... }                 message => the whole message
#     delay    => seconds                 everything else that a handler of
#                                         AgentsTest::Server may answer
#     times    => n                       the entry is given n times, then the
#                                         next one: for retries
#     tool_results => 1                   text is what the last tool said
#     whole    => 1                       one body, also where a stream is asked
#                                         for, which it is as a rule
#     pace     => seconds                 before each event of a stream
#
# A prompt that a strict provider would refuse gets a 400 that says why: calls
# without their results right behind them, results without a call, two turns of
# one role, a last word of the model's.
#
# After the last entry the model says "done".  When it is asked for a title it
# answers { title => ... } of the options, or "A Title".  Options of handler():
# delay => seconds for all replies, usage => 1 for plain counts.

use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->canonical->allow_nonref;


sub script {
    my (@entries) = @_;
    return $json->encode({ script => \@entries });
}


sub handler {
    my (%options) = @_;
    my %given;      # how often an entry with "times" was given

    return sub {
        my ($req) = @_;
        my $body = $req->{json};

        return { status => 400, json => { error => { message => 'no JSON' } } }
            unless ref $body eq 'HASH' && ref $body->{messages} eq 'ARRAY';

        return completion({ text => $options{title} || 'A Title' }, $body)
            if is_title($body);

        if (my $why = invalid(@{$body->{messages}})) {
            return { status => 400, json => { error => {
                     message => "invalid prompt: $why" } } };
        }

        my ($text, $round) = position($body->{messages});
        my $plan = eval { $json->decode($text) };
        my $entry = { text => "echo: $text" };

        if (ref $plan eq 'HASH' && ref $plan->{script} eq 'ARRAY') {
            $entry = pick($plan->{script}, $round, $text, \%given);
        }

        $entry = { %$entry };
        $entry->{text} = last_result($body->{messages})
            if delete $entry->{tool_results};
        $entry->{delay} = $options{delay}
            if $options{delay} && !defined $entry->{delay};

        return $entry if grep { exists $entry->{$_} }
                         qw(body raw json chunks hang reset);
        return $entry if $entry->{status} && $entry->{status} != 200;
        return completion($entry, $body);
    };
}


# Why a strict provider would refuse the messages, or nothing.
sub invalid {
    my (@messages) = @_;
    my ($last, %seen) = ('');
    my @open;

    for my $message (grep { $_->{role} ne 'system' } @messages) {
        my $role = $message->{role};

        if ($role eq 'tool') {
            my $id = shift @open;
            return "a result out of place: $message->{tool_call_id}"
                unless defined $id && $id eq $message->{tool_call_id};

        } else {
            return "no result for @open" if @open;
            return "two turns of $role" if $role eq $last;
            return 'it does not begin with the user'
                if $last eq '' && $role ne 'user';
        }

        if ($role eq 'assistant') {
            @open = map { $_->{id} } @{$message->{tool_calls} || []};
            return 'an id that came before' if grep { $seen{$_}++ } @open;
            return 'an empty turn'
                unless @open || length text_of($message->{content});
        }
        $last = $role;
    }
    return @open ? "no result for @open"
         : $last !~ /^(?:user|tool)$/ ? "it ends with $last" : undef;
}


# Entries with "times" repeat for the same prompt; they are skipped after that.
sub pick {
    my ($script, $round, $text, $given) = @_;
    my $skipped = 0;

    for my $i (0 .. $#$script) {
        my $entry = $script->[$i];

        if (my $times = $entry->{times}) {
            my $key = "$round/$i/$text";
            if ($round == $i - $skipped && ($given->{$key} || 0) < $times) {
                $given->{$key}++;
                return { map { $_ => $entry->{$_} }
                         grep { $_ ne 'times' } keys %$entry };
            }
            $skipped++;
            next;
        }
        return $entry if $i - $skipped == $round;
    }
    return { text => 'done' };
}


# The last user message's text, and how many replies have followed it.  The
# module's own request to mend an answer is none of the user's.
sub position {
    my ($messages) = @_;
    my ($text, $round) = ('', 0);

    for (@$messages) {
        if ($_->{role} eq 'user') {
            ($text, $round) = (text_of($_->{content}), 0)
                unless text_of($_->{content})
                       =~ /^Your reply does not match the required schema/;
        } elsif ($_->{role} eq 'assistant') {
            $round++;
        }
    }
    return ($text, $round);
}


sub text_of {
    my ($content) = @_;
    return '' unless defined $content;
    return $content unless ref $content;
    return join '', map { defined $_->{text} ? $_->{text} : '' } @$content;
}


sub last_result {
    my ($messages) = @_;
    my ($last) = grep { $_->{role} eq 'tool' } reverse @$messages;
    return $last ? text_of($last->{content}) : 'no result';
}


sub is_title {
    my ($body) = @_;
    return 0 if $body->{tools} || $body->{response_format};
    my $system = join ' ', map { text_of($_->{content}) }
                           grep { $_->{role} =~ /^(?:system|developer)$/ }
                           @{$body->{messages}};
    return $system =~ /\btitles?\b/i;
}


sub completion {
    my ($entry, $body) = @_;
    my $n = 0;
    my @calls = map { {
        id => defined $_->[2] ? $_->[2]
                              : 'call_' . unpack('H*', pack 'd', rand) . $n++,
        type => 'function',
        function => {
            name => $_->[0],
            arguments => ref $_->[1] ? $json->encode($_->[1])
                       : defined $_->[1] ? $_->[1] : '{}',
        },
    } } @{$entry->{tools} || []};

    my $message = $entry->{message} || {
        role => 'assistant',
        content => $entry->{text},
        defined $entry->{refusal} ? (refusal => $entry->{refusal}) : (),
        @calls ? (tool_calls => \@calls) : (),
    };

    my %common = map { exists $entry->{$_} ? ($_ => $entry->{$_}) : () }
                 qw(delay headers close cut length hang reset);
    my $finish = $entry->{finish} || (@calls ? 'tool_calls' : 'stop');
    my $usage = $entry->{usage} || { prompt_tokens => 10,
        completion_tokens => 5, total_tokens => 15 };

    return { %common, streamed($entry, $body, $message, $finish, $usage) }
        if $body->{stream} && !$entry->{whole};

    return {
        %common,
        json => {
            id => 'chatcmpl-test', object => 'chat.completion', created => 0,
            model => $body->{model},
            choices => [ { index => 0, message => $message,
                           finish_reason => $finish } ],
            usage => $usage,
        },
    };
}


# The same as events: text and arguments in pieces, then the reason to stop,
# then the usage in an event without choices.
sub streamed {
    my ($entry, $body, $message, $finish, $usage) = @_;
    my @deltas = ({ role => 'assistant', content => '' });

    push @deltas, map { { content => $_ } } pieces($message->{content})
        if defined $message->{content} && !ref $message->{content};
    push @deltas, { content => $message->{content} }
        if ref $message->{content};
    push @deltas, map { { refusal => $_ } } pieces($message->{refusal})
        if defined $message->{refusal};

    my $n = 0;
    for my $call (@{$message->{tool_calls} || []}) {
        my %function = %{$call->{function} || {}};
        my $arguments = delete $function{arguments};
        push @deltas, { tool_calls => [ { %$call, index => $n,
            function => { %function, arguments => '' } } ] };
        push @deltas, map { { tool_calls => [ { index => $n,
                              function => { arguments => $_ } } ] } }
                      ref $arguments ? $arguments : pieces($arguments);
        $n++;
    }

    my @events = (
        map({ { choices => [ { index => 0, delta => $_,
                               finish_reason => undef } ] } } @deltas),
        { choices => [ { index => 0, delta => {},
                         finish_reason => $finish } ] },
        { choices => [], usage => $usage });

    my @lines = (map({ 'data: ' . $json->encode({ id => 'chatcmpl-test',
        object => 'chat.completion.chunk', model => $body->{model}, %$_ })
        . "\n\n" } @events), "data: [DONE]\n\n");

    return (headers => { 'Content-Type' => 'text/event-stream',
                         %{$entry->{headers} || {}} },
            defined $entry->{pace}
            ? (chunks => [ map { [ $entry->{pace}, $_ ] } @lines ])
            : (body => join '', @lines));
}


sub pieces {
    my ($text) = @_;
    return () unless defined $text && length $text;
    my $size = int(length($text) / 3) + 1;
    return map { substr $text, $_ * $size, $size }
           0 .. (length($text) - 1) / $size;
}


1;
