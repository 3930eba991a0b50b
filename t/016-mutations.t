# Good bodies, changed at random: whatever comes of it is an answer of the API,
# a refusal says where, and what is taken is taken again as it is shown.  The
# seed is printed; AGENTS_SEED repeats one, AGENTS_MUTATIONS makes more of them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use JSON::PP;
use AgentsTest;

my $seed = $ENV{AGENTS_SEED} || (time ^ $$ << 8);
my $total = $ENV{AGENTS_MUTATIONS} || 800;
my $json = JSON::PP->new->max_depth(100_000)->utf8->canonical->allow_nonref;

# what no encoder writes stands behind a mark until the text is made
my @tokens = ('1e400', '-1e400', '9223372036854775807', '9223372036854775808',
    '-9223372036854775809', '-0', '3.0', '1e-400', '0.1e1', '00', '1.', 'NaN',
    '"\u0000"', '"\ud800"', '"\udc00\ud800"', '"\/"', '[' x 70 . ']' x 70,
    '{"a":' x 70 . '1' . '}' x 70, '{"a":1,"a":1}', "\"\xff\"",
    "\"\xc0\xaf\"", "\xef\xbb\xbf1", "\0", '');
my @values = (undef, JSON::PP::true, JSON::PP::false, 0, -1, 1, 64, 101, 0.5,
    1e21, '', 'a', 'a-b', '~/', "\x{1f600}" x 65, 'x' x 2000, "\n", [], {},
    [ undef ], [ {}, {} ], { kind => 'any' }, { type => 'string' },
    { '$ref' => '#' }, { anyOf => [ {} ] }, 'http://127.0.0.1:1/', 'auto');

srand $seed;
note "AGENTS_SEED=$seed";

my $t = AgentsTest->new;
$t->start;
my @workers;
$t->wait_for(10, sub { (@workers = sort $t->workers) == 2 });
my $token = $t->token;
my $index = HTTP::Tiny->new->get($t->base . '/errors',
    { headers => { Accept => 'application/json' } });
my %slugs = map { $_->{slug} => $_ } @{$json->decode($index->{content})
                                       ->{errors}};
my (%seen, @taken, @started, @wrong);

for (my $made = 0; $made < $total; $made += 25) {
    my $c = $t->conversation(full());
    my @requests = map { [ '/agents/conversations',
                           mutant($t->conversation_body(full())) ] } 1 .. 12;
    push @requests, map { [ "/agents/conversations/$c->{id}/runs",
                            mutant(run_body($c)) ] } 1 .. 13;
    my @answers = answers(@requests);
    check($requests[$_], $answers[$_]) for 0 .. $#requests;
}

ok !@wrong, "each answer is one of the API, $total bodies (seed $seed): "
            . join ', ', map { "$seen{$_} x $_" } sort keys %seen
    or diag join "\n", @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)];
cmp_ok $seen{400} || 0, '>', $total / 4, 'many were refused';
cmp_ok $seen{201} || 0, '>', 0, 'some were taken';
same();
$t->finished($_) for @started;
is_deeply [ sort $t->workers ], \@workers, 'the workers are the same';
$t->clean;
done_testing;


# A value for every field of a configuration.
sub full {
    return (system_prompt => 'Be brief.', max_tokens => 512,
            temperature => 0.7,
            output_format_schema => { type => 'object',
                additionalProperties => JSON::PP::false,
                required => [ 'a' ],
                properties => { a => { type => [ 'string', 'null' ],
                                       enum => [ 'x', undef ] },
                                b => { anyOf => [ { const => 1.5 },
                                    { type => 'array', minItems => 1,
                                      items => { type => 'integer' } } ] } } },
            mcp_servers => [ { alias => 'docs', description => 'd',
                               url => $t->mcp } ],
            tools => [ { name => 'confirm', description => 'c',
                         input_schema => { type => 'object', properties =>
                             { q => { type => 'string' } } } } ]);
}


sub run_body {
    my ($c) = @_;
    my %config = full();
    delete $config{system_prompt};
    delete $config{mcp_servers};    # a changed url is not to be called
    return $t->run_body($c, rand() < 0.5 ? 'hello' : {
            kind => 'tool_outputs', outputs => [
                { tool_use_id => 'a', content => 'b',
                  is_error => JSON::PP::false },
                { tool_use_id => 'c', content => [
                    { type => 'text', text => 'd' } ] } ] },
        tool_choice => rand() < 0.5 ? { kind => 'auto' }
            : { kind => 'specific_tool', name => 'confirm' },
        config_override => { model => $AgentsTest::MODEL, %config });
}


# ---- what is changed ----

sub pick { return $_[int rand @_] }

# A copy: what is changed in one body is no part of the next one.
sub value { return $json->decode($json->encode([ pick(@values) ]))->[0] }


# The text of a body with one to three changes.
sub mutant {
    my ($body) = @_;
    $body = $json->decode($json->encode($body));
    my $bytes = rand() < 0.3;
    my @raw;

    for (1 .. ($bytes ? 0 : 1 + int rand 3)) {
        my ($holder, $key) = @{pick(places($body)) || last};
        my $slot = ref $holder eq 'HASH' ? \$holder->{$key}
                                         : \$holder->[$key];
        my $how = int rand 7;
        if ($how == 0) {
            $$slot = 'RAW' . push(@raw, pick(@tokens)) . '.';
        } elsif ($how == 1 && ref $holder eq 'HASH') {
            delete $holder->{$key};
        } elsif ($how == 2 && ref $holder eq 'HASH') {
            $holder->{pick(@{[ 'x', '', '~1/', "\x{e9}", uc $key, 'kind',
                               'name', 'system_prompt' ]})} = value();
        } elsif ($how == 3) {
            my ($other, $name) = @{pick(places($body))};
            my $value = ref $other eq 'HASH' ? $other->{$name}
                                             : $other->[$name];
            $$slot = $json->decode($json->encode($value));
        } elsif ($how == 4) {
            $$slot = pick([ $$slot ], { a => $$slot },
                          [ ($$slot) x pick(2, 17, 130) ]);
        } else {
            $$slot = value();
        }
    }
    my $text = $json->encode($body);
    $text =~ s/"RAW(\d+)\."/$raw[$1 - 1]/g;
    return $bytes ? scrambled($text) : $text;
}


# Every member and element, by what holds it and its name there.
sub places {
    my ($value) = @_;
    return map { ([ $value, $_ ], places($value->{$_})) } sort keys %$value
        if ref $value eq 'HASH';
    return map { ([ $value, $_ ], places($value->[$_])) } 0 .. $#$value
        if ref $value eq 'ARRAY';
    return;
}


sub scrambled {
    my ($text) = @_;
    for (1 .. 1 + int rand 3) {
        my $at = int rand length $text;
        my $how = int rand 5;
        if ($how == 0) {
            substr($text, $at, 1) ^= chr 1 << int rand 8;
        } elsif ($how == 1) {
            substr($text, $at, 1 + int rand 20) = '';
        } elsif ($how == 2) {
            substr($text, $at, 0) = pick(@tokens, '"', '{', ']', ',', ':',
                                         '\\', chr int rand 256);
        } elsif ($how == 3) {
            substr($text, $at, 0) = substr $text, $at, int rand 40;
        } else {
            $text = substr $text, 0, $at;
        }
        last if !length $text;
    }
    return $text;
}


# ---- what comes back ----

# The answers to requests on one connection, all sent at once; on another one
# from where the server has closed it.
sub answers {
    my @requests = @_;
    my @answers;

    for (1 .. @requests) {
        my @left = @requests[scalar(@answers) .. $#requests] or last;
        my $text = $t->raw(join '', map {
            my ($path, $body) = @{$left[$_]};
            "POST $path HTTP/1.1\r\nHost: x\r\n"
            . 'Connection: ' . ($_ == $#left ? 'close' : 'keep-alive')
            . "\r\nAuthorization: Bearer $token\r\n"
            . "Content-Type: application/json\r\nContent-Length: "
            . length($body) . "\r\n\r\n$body"
        } 0 .. $#left);
        my $before = @answers;

        while ($text =~ s{^HTTP/1\.1\ (\d+)[^\r\n]*\r\n(.*?)\r\n\r\n}{}s) {
            my ($status, $head) = ($1, "\r\n$2\r\n");
            my ($length) = $head =~ /\r\nContent-Length: (\d+)/i;
            my ($type) = $head =~ /\r\nContent-Type: ([^\r\n]*)/i;
            push @answers, { status => $status, type => $type || '',
                             content => substr $text, 0, $length || 0, '' };
        }
        last if @answers == $before;
    }
    return @answers;
}


# Notes what is wrong with an answer.
sub check {
    my ($request, $answer) = @_;
    my $why = wrong($request, $answer);
    $seen{$answer->{status} || 'nothing'}++;
    push @wrong, "$why\n  $request->[0]\n  $request->[1]\n  "
                 . ($answer->{content} || '') if $why;
    return;
}


sub wrong {
    my ($request, $answer) = @_;
    my ($path, $text) = @$request;
    return 'no answer' if !$answer;
    my $got = eval { $json->decode($answer->{content}) };
    return "no JSON: $answer->{status}" if ref $got ne 'HASH';

    if ($answer->{status} =~ /^(?:201|202)$/) {
        push @taken, $got if $answer->{status} == 201;
        push @started, $got->{id} if $answer->{status} == 202;
        return $answer->{type} eq 'application/json' ? '' : 'the type';
    }
    return "status $answer->{status}"
        if $answer->{status} !~ /^(?:400|409|429)$/;
    return 'no problem' if $answer->{type} ne 'application/problem+json';
    my ($slug) = ($got->{type} || '') =~ m{/errors/([a-z-]+)$};
    my $entry = $slugs{$slug || ''} or return 'the slug';
    return 'status and slug' if $answer->{status} != $got->{status}
                                || $entry->{status} != $got->{status};
    return 'title' if $entry->{title} ne $got->{title};
    return 'detail' if !length $got->{detail};
    return '' if $answer->{status} != 400;

    my @errors = @{$got->{errors} || []};
    return 'no errors' if !@errors;
    my ($first) = grep { $_ ne 'invalid-request' }
                  map { $_->{code} } @errors;
    return 'type and errors' if ($first || 'invalid-request') ne $slug;
    my $sent = eval { $json->decode($text) };

    for (@errors) {
        return 'a code' if !$slugs{$_->{code}};
        return 'a detail' if !length $_->{detail};
        return "a pointer $_->{pointer}"
            if $_->{pointer} !~ m{^(?:/(?:[^~/]|~[01])*)*$};
        return "no place $_->{pointer}"
            if $_->{code} !~ /^invalid-effective-config$|^unknown-tool-choice/
               && $sent && !holder($sent, $_->{pointer});
    }
    return '';
}


# Whether what holds the place is in the body: the place itself may be missing.
sub holder {
    my ($value, $pointer) = @_;
    my (undef, @keys) = split m{/}, $pointer, -1;
    pop @keys;
    for my $key (@keys) {
        $key =~ s/~1/\//g;
        $key =~ s/~0/~/g;
        return 0 if !ref $value;
        $value = ref $value eq 'HASH' ? $value->{$key} : $value->[$key];
    }
    return !@keys || ref $value;
}


# What is shown is taken, and shown the same again.
sub same {
    my @some = @taken[0 .. ($#taken > 19 ? 19 : $#taken)];
    my @different = grep {
        my $shown = $_;
        my $next = $t->post('/agents/conversations', {
            map { $_ => $shown->{$_} } qw(name system_prompt defaults) });
        $next->{status} != 201
            || $json->encode($next->{json}{defaults})
               ne $json->encode($shown->{defaults});
    } @some;
    ok !@different, 'what was taken is taken again as it is shown'
        or diag $json->encode($different[0]);
    return;
}
