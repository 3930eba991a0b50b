package AgentsTest::Protocols;

# The protocols that the scripted model speaks, each in a file of its own:
#
#     AgentsTest::Protocols->named('bedrock')
#     AgentsTest::Protocols->of($request)     of the request's path, or nothing
#
# A protocol is an object with
#
#     name            of its own here; "protocol" is that of the configuration
#     form            openai, anthropic or bedrock: whose bodies it has
#     path            what AgentsTest::Server has a handler for
#     endpoint        what follows the server's address in "endpoint"
#     model           the provider's id of the model
#     read($req)      the prompt in the common form: {messages, tools, choice,
#                     format, system, stream, model, max_tokens, temperature},
#                     where messages are those of chat completions, with
#                     "opaque" (a list of blocks) in the model's turns, and
#                     choice is auto, any or [name]
#     wrong($req)     why the provider would refuse the request, or nothing
#     body($reply)    the whole reply
#     events($reply)  the reply in pieces, as bytes
#     type            their Content-Type
#     error($type, $message)     the body of an error; headers of one
#     broken($type, $message)    an error in the midst of a stream
#     garbage                    a piece of a stream that is no event
#
# A reply is {thinking => [[text, signature], ...], redacted => data, text,
# calls => [{id, name, arguments as text}], refusal, stop, usage}; stop is done,
# tool, length, refused or filtered; usage that of chat completions.
#
# checked($handler) is the handler, behind a look at each request that goes to a
# model: what a strict provider would refuse gets a 400 that says why, and makes
# clean() of the test fail.

use strict;
use warnings;
use JSON::PP;
use AgentsTest::Protocols::Anthropic;
use AgentsTest::Protocols::Bedrock;
use AgentsTest::Protocols::Cortex;
use AgentsTest::Protocols::Openai;

my @protocols = map { "AgentsTest::Protocols::$_"->new }
                qw(Cortex::Claude Cortex::Other Openai Anthropic Bedrock);

# Those whose bodies are of a form of their own; all of them.
sub forms { return grep { $_->name eq $_->form } @protocols }
sub all { return @protocols }


sub named {
    my ($class, $name) = @_;
    my ($found) = grep { $_->name eq $name } @protocols;
    return $found || die "no protocol $name\n";
}


sub of {
    my ($class, $req) = @_;
    my ($found) = grep { $_->owns($req->{path}) } @protocols;
    return $found;
}


# For AgentsTest->new: a provider of each protocol, and its models
# "NAME-streamed", "NAME-whole" and "other-NAME".  Lines of the providers, and
# further models as [ name, protocol, lines ].
sub configured {
    my ($class, $lines, @models) = @_;
    $lines = '' unless defined $lines;
    my $http = join '', map {
        my ($name, $protocol, $endpoint)
            = ($_->name, $_->protocol, $_->endpoint);
        "agents_provider $name { protocol $protocol; api_key test-key;"
        . " endpoint http://127.0.0.1:%MOCK%$endpoint; $lines }\n" }
        @protocols;
    my $plane = join '', map {
        my ($model, $name, $more) = @$_;
        my $id = $class->named($name)->model;
        $id .= '-other' if $model =~ /^other/;
        "model $model provider=$name id=$id max_tokens=32000 $more;\n" }
        @models, map { my $name = $_->name;
            [ "$name-streamed", $name, '' ], [ "$name-whole", $name,
            'no_stream' ], [ "other-$name", $name, '' ] } @protocols;
    return (http => $http, plane => $plane);
}


sub checked {
    my ($handler) = @_;
    return sub {
        my ($req) = @_;
        my $protocol = AgentsTest::Protocols->of($req);
        my $why = $protocol && $req->{method} eq 'POST'
                  ? violation($protocol, $req) : undef;
        return $handler->($req) unless defined $why;
        return { $protocol->error('invalid_request_error',
                                  "invalid prompt: $why"),
                 status => 400, violation => "$req->{path}: $why" };
    };
}


# What no provider takes, and what this one does not.
sub violation {
    my ($protocol, $req) = @_;
    return 'no JSON object' unless ref $req->{json} eq 'HASH';
    return 'no application/json'
        unless ($req->{headers}{'content-type'} || '') eq 'application/json';
    my $why = eval { $protocol->wrong($req) || undef };
    return "no such form: $@" if $@;
    return $why if defined $why;
    my $prompt = $protocol->read($req);
    return tools($prompt) || order(@{$prompt->{messages}});
}


sub tools {
    my ($prompt) = @_;
    my %seen;

    for my $tool (@{$prompt->{tools}}) {
        return 'a name that is not portable' unless is_name($tool->{name});
        return "two tools $tool->{name}" if $seen{$tool->{name}}++;
        return "an empty description of $tool->{name}"
            if exists $tool->{description} && !length $tool->{description};
        my $schema = $tool->{schema};
        return "the schema of $tool->{name} is no object"
            unless ref $schema eq 'HASH' && ($schema->{type} || '') eq 'object';
        return "a union at the root of the schema of $tool->{name}"
            if grep { $schema->{$_} } qw(oneOf anyOf allOf);
    }
    my $choice = $prompt->{choice};
    return unless defined $choice;
    return 'a choice without tools' unless %seen;
    return "a choice that is not offered: $choice->[0]"
        if ref $choice && !$seen{$choice->[0]};
    return;
}


# Why a strict provider would refuse the messages, or nothing: calls without
# their results right behind them and in their order, results without a call,
# two turns of one role, empty turns, a first or last word of the model's.
sub order {
    my (@messages) = @_;
    my ($last, %seen) = ('');
    my @open;

    for my $message (@messages) {
        my $role = $message->{role};
        next if $role =~ /^(?:system|developer)$/;

        if ($role eq 'tool') {
            my $id = shift @open;
            return "a result out of place: $message->{tool_call_id}"
                unless defined $id && $id eq $message->{tool_call_id};

        } else {
            return "no result for @open" if @open;
            return "two turns of $role" if $role eq $last;
            return 'it does not begin with the user'
                if $last eq '' && $role ne 'user';
            return 'an empty turn of the user'
                if $role eq 'user' && !length $message->{content};
        }

        if ($role eq 'assistant') {
            for my $call (@{$message->{tool_calls} || []}) {
                return "an id that came before: $call->{id}"
                    if $seen{$call->{id}}++;
                return "an id that is not portable: $call->{id}"
                    unless $call->{id} =~ /^[A-Za-z0-9_-]{1,64}\z/;
                return 'a call of a name that is not portable'
                    unless is_name($call->{function}{name});
                push @open, $call->{id};
            }
            return 'an empty turn'
                unless @open || @{$message->{opaque} || []}
                       || length($message->{content} // '');
        }
        $last = $role;
    }
    return @open ? "no result for @open"
         : $last !~ /^(?:user|tool)$/ ? "it ends with $last" : undef;
}


sub is_name { return ($_[0] // '') =~ /^[A-Za-z0-9_-]{1,64}\z/ }


# Members that an object has and should not have, or the other way round.
sub members {
    my ($object, $required, $optional) = @_;
    return 'no object' unless ref $object eq 'HASH';
    for (@$required) {
        return "no $_" unless defined $object->{$_};
    }
    my %known = map { $_ => 1 } @$required, @$optional;
    my ($unknown) = grep { !$known{$_} } sort keys %$object;
    return defined $unknown ? "unknown: $unknown" : undef;
}


sub is_blank { return ($_[0] // '') !~ /\S/ }


# A text in about three pieces, none empty, or as many as are asked for.
our $PIECES = 3;

sub pieces {
    my ($text) = @_;
    return () unless defined $text && length $text;
    my $size = int(length($text) / $PIECES) + 1;
    return map { substr $text, $_ * $size, $size }
           0 .. (length($text) - 1) / $size;
}


# The arguments of a call as a value; what is no JSON stays text.
sub arguments {
    my ($text) = @_;
    my $value = eval { JSON::PP->new->allow_nonref->max_depth(2048)
                       ->decode($text) };
    return defined $value ? $value : $text;
}


1;
