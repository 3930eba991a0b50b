package AgentsTest::Model;

# A scripted model that speaks each of the protocols (AgentsTest::Protocols), as
# a handler for AgentsTest::Server.  What it does is in the conversation: the
# last user message is either plain text, which it echoes ("echo: TEXT"), or
# JSON that scripts the run, one entry per inference since that message:
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
#     thinking => [ [ text, signature ], ... ]    redacted => data
#     error    => [ status, type, text ]  an error as the protocol has them
#     mid      => how a reply goes wrong when half of it is out: reset, end,
#                 garbage, or [ type, text ] of an error
#     delay    => seconds                 everything else that a handler of
#                                         AgentsTest::Server may answer
#     times    => n                       the entry is given n times, then the
#                                         next one: for retries
#     tool_results => 1                   text is what the last tool said
#     whole    => 1                       one body, also where a stream is asked
#                                         for, which it is as a rule
#     pace     => seconds                 before each event of a stream
#     pieces   => n                       of each text in a stream; else three
#     repeat   => n                       the text is said so many times
#
# After the last entry the model says "done".  When it is asked for a title it
# answers { title => ... } of the options, or "A Title".  Options of handler():
# delay => seconds for all replies.

use strict;
use warnings;
use JSON::PP;
use AgentsTest::Protocols;

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
        my $prompt = prompt($req);

        return completion({ text => $options{title} || 'A Title' }, $prompt)
            if is_title($req);

        my ($text, $round) = position($prompt->{messages});
        my $plan = eval { $json->decode($text) };
        my $entry = { text => "echo: $text" };

        if (ref $plan eq 'HASH' && ref $plan->{script} eq 'ARRAY') {
            $entry = pick($plan->{script}, $round, $text, \%given);
        }

        $entry = { %$entry };
        $entry->{text} = last_result($prompt->{messages})
            if delete $entry->{tool_results};
        $entry->{text} x= delete $entry->{repeat} if $entry->{repeat};
        $entry->{delay} = $options{delay}
            if $options{delay} && !defined $entry->{delay};

        return $entry if grep { exists $entry->{$_} }
                         qw(body raw json chunks hang);
        return $entry if $entry->{reset} && !defined $entry->{cut};
        return $entry if $entry->{status} && $entry->{status} != 200;
        return completion($entry, $prompt);
    };
}


# What a request asks, in the common form, and in which protocol.
sub prompt {
    my ($req) = @_;
    my $protocol = AgentsTest::Protocols->of($req)
                   || AgentsTest::Protocols->named('openai');
    return { %{$protocol->read($req)}, protocol => $protocol };
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


# Whether a request asks for a title.
sub is_title {
    my ($req) = @_;
    return 0 unless ref $req->{json} eq 'HASH'
                    && AgentsTest::Protocols->of($req);
    my $prompt = prompt($req);
    return 0 if $prompt->{format} || @{$prompt->{tools}};
    return $prompt->{system} =~ /\btitles?\b/i;
}


my %STOP = (stop => 'done', tool_calls => 'tool', length => 'length',
            content_filter => 'filtered');

# What AgentsTest::Server answers for an entry.
sub completion {
    my ($entry, $prompt) = @_;
    my $protocol = $prompt->{protocol};
    my $n = 0;
    my @calls = map { {
        id => defined $_->[2] ? $_->[2]
                              : 'call_' . unpack('H*', pack 'd', rand) . $n++,
        name => $_->[0],
        arguments => ref $_->[1] ? $json->encode($_->[1])
                   : defined $_->[1] ? $_->[1] : '{}',
    } } @{$entry->{tools} || []};

    my %common = map { exists $entry->{$_} ? ($_ => $entry->{$_}) : () }
                 qw(delay headers close cut length hang reset);

    if (my $error = $entry->{error}) {
        my ($status, @what) = @$error;
        my %answer = $protocol->error(@what);
        return { %common, %answer, status => $status, headers => {
                 %{$answer{headers} || {}}, %{$common{headers} || {}} } };
    }

    my $finish = $entry->{finish};
    my $reply = {
        (map { $_ => $entry->{$_} }
             qw(text refusal thinking redacted message)),
        calls => \@calls,
        model => $prompt->{model},
        stop => defined $finish ? $STOP{$finish} || $finish
              : @calls ? 'tool' : defined $entry->{refusal} ? 'refused'
              : 'done',
        usage => $entry->{usage} || { prompt_tokens => 10,
            completion_tokens => 5, total_tokens => 15 },
    };

    return $prompt->{stream} && !$entry->{whole}
           ? { %common, streamed($entry, $protocol, $reply) }
           : { %common, whole($entry, $protocol->body($reply)) };
}


sub whole {
    my ($entry, $body) = @_;
    my $mid = $entry->{mid} or return (json => $body);
    my $text = JSON::PP->new->utf8->encode($body);
    my $half = int(length($text) / 2);
    my @headers = (headers => { 'Content-Type' => 'application/json' });

    return (@headers, body => substr $text, 0, $half) if $mid eq 'garbage';
    return (@headers, body => $text, cut => $half,
            $mid eq 'reset' ? (reset => 1) : ());
}


# The same as events, and what may happen when half of them are out.
sub streamed {
    my ($entry, $protocol, $reply) = @_;
    local $AgentsTest::Protocols::PIECES = $entry->{pieces} || 3;
    my @events = $protocol->events($reply);
    my @headers = (headers => { 'Content-Type' => $protocol->type,
                                %{$entry->{headers} || {}} });

    if (my $mid = $entry->{mid}) {
        @events = @events[0 .. int(@events / 2) - 1];
        push @events, $protocol->broken(@$mid) if ref $mid;
        push @events, $protocol->garbage if $mid eq 'garbage';
        push @headers, cut => length join('', @events), length => 1_000_000,
                       reset => 1 if $mid eq 'reset';
    }
    return (@headers, defined $entry->{pace}
            ? (chunks => [ map { [ $entry->{pace}, $_ ] } @events ])
            : (body => join '', @events));
}


1;
