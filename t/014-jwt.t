# "agents_auth jwt" as operators and clients see it: what "nginx -t" says of
# its parameters and keys, whole conversations, a reload with other keys, the
# end of a token, clients that leave meanwhile.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Jwt;
use Time::HiRes qw(sleep);

my $jwt = AgentsTest::Jwt->new(first => 'rsa', second => 'P-256',
                               weak => 'rsa-1024', secret => 'oct-32');
my $auth = "agents_auth jwt jwks=file:%PREFIX%/keys.json"
           . " $AgentsTest::Jwt::RULES;";

taken();
refused();

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store, auth => $auth, wait => 0);
    keys_are($t, $jwt->jwks('first'));
    $t->start;

    my %token = $jwt->tokens(
        ann => { alg => 'RS256', key => 'first' },
        eve => { alg => 'RS256', key => 'first', claims => { sub => 'eve' } },
        globex => { alg => 'RS256', key => 'first',
                    claims => { tenant => 'globex' } },
        ending => { alg => 'RS256', key => 'first',
                    claims => { exp => time - 26 } },
        next => { alg => 'ES256', key => 'second' },
        map { ("many $_" => { alg => 'RS256', key => 'first',
                              claims => { jti => "$_" } }) } 1 .. 60);
    $t->wait_for(20, sub { reads($t, $token{ann}) < 500 });

    subtest "a conversation on $store" => sub { conversation($t, \%token) };
    subtest 'the end of a token' => sub { ends($t, $token{ending}) }
        if $store eq (AgentsTest->stores)[0];
    subtest "clients that leave on $store" => sub { leave($t, \%token) };
    subtest "a reload with other keys on $store" => sub { other($t, \%token) };
    subtest "the logs on $store" => sub { logs($t, \%token) };
    $t->clean("$store: no error logged");
}

done_testing;


sub keys_are {
    my ($t, $text, $name) = @_;
    my $path = $t->prefix . '/' . ($name || 'keys.json');
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


sub reads {
    my ($t, $token) = @_;
    return $t->get('/agents/conversations', token => $token)->{status};
}


# ---- what "nginx -t" says ----

sub taken {
    my $t = AgentsTest->new(store => 'sqlite', auth => $auth);
    keys_are($t, $jwt->jwks('first', 'second', 'secret'));
    my @cases = (
        [ 'keys of every type' ],
        [ 'a private key',
          keys => JSON::PP::encode_json({ keys => [ $jwt->private('first') ] })
        ],
        [ 'a relative path, from the folder of nginx.conf',
          auth => "agents_auth jwt jwks=file:../keys.json"
                  . " $AgentsTest::Jwt::RULES;" ],
        [ 'from the http block', http => $auth, auth => ' ' ],
        [ 'another mode within', auth => 'agents_auth token;',
          http => $auth ],
        [ 'quotes, and claims that are urls', auth =>
          'agents_auth jwt jwks=file:%PREFIX%/keys.json "issuer=a b"'
          . ' "audience=c;d" company=https://example.com/company'
          . ' user=a.b permissions=https://example.com/permissions;' ],
    );

    for (@cases) {
        my ($name, %part) = @$_;
        local @$t{qw(auth http)} = ($part{auth} || $auth, $part{http});
        keys_are($t, $part{keys}) if $part{keys};
        my ($status, $out) = $t->check;
        is $status, 0, "taken: $name" or diag($out);
        keys_are($t, $jwt->jwks('first')) if $part{keys};
    }
    return;
}


sub refused {
    my $t = AgentsTest->new(store => 'sqlite');
    my $rules = $AgentsTest::Jwt::RULES;
    my $good = $jwt->jwks('first');
    my ($secret) = $jwt->private('secret')->{k};

    my @cases = (
        # what is wrong => parameters, or keys => what the message says
        (map { my $name = $_;
               (my $less = "jwks=file:%PREFIX%/keys.json $rules")
                   =~ s/\b$name=\S+//;
               (my $none = "jwks=file:%PREFIX%/keys.json $rules")
                   =~ s/\b$name=\S+/$name=/;
               ([ "without $name", $less, "needs the parameter \"$name=\"" ],
                [ "an empty $name", $none, "needs the parameter \"$name=\"" ],
                [ "$name twice", "jwks=file:%PREFIX%/keys.json $rules $name=x",
                  "duplicate parameter \"$name=\"" ])
             } qw(jwks issuer audience company user permissions)),
        [ 'nothing at all', '', 'needs the parameter' ],
        [ 'an unknown parameter', "jwks=file:%PREFIX%/keys.json $rules"
          . ' leeway=1m', 'unknown parameter "leeway=1m".*known are jwks=' ],
        [ 'a word without a value', "jwks=file:%PREFIX%/keys.json $rules"
          . ' issuer', 'unknown parameter "issuer"' ],
        [ 'keys at a url', "jwks=https://x/keys $rules", 'file:PATH' ],
        [ 'keys of no path', "jwks=file: $rules", 'file:PATH' ],
        [ 'keys that are not there', "jwks=file:/nowhere/keys.json $rules",
          '/nowhere/keys\.json.*cannot be opened.*No such file' ],
        [ 'keys that are a folder', "jwks=file:%PREFIX% $rules",
          'cannot be read' ],
        [ 'keys too large', \(' ' x (1024 * 1024) . $good),
          'longer than 1048576 bytes' ],
        [ 'an empty file', \'', 'keys\.json.*no JSON' ],
        [ 'no JSON', \"-----BEGIN PUBLIC KEY-----\n$secret", 'no JSON.*line 1' ],
        [ 'no set', \'{"kty":"oct"}', 'no array "keys"' ],
        [ 'no keys', \'{"keys":[]}', 'no key to verify with' ],
        [ 'a secret too short', \qq({"keys":[{"kty":"oct","k":"$secret",
          "alg":"HS512"}]}), 'key 1 of it is too short' ],
        [ 'a key of RSA too short', \$jwt->jwks('first', 'weak'),
          'key 2 of it is too short' ],
        [ 'a key that is broken', \$jwt->jwks('first',
          [ second => { y => 'AAAA' } ]), 'key 2 of it is no key' ],
        [ 'keys for encryption alone', \$jwt->jwks([ first =>
          { use => 'enc' } ]), 'no key to verify with' ],
    );

    for (@cases) {
        my ($name, $wrong, $says) = @$_;
        my $parameters = ref $wrong ? "jwks=file:%PREFIX%/keys.json $rules"
                                    : $wrong;
        keys_are($t, ref $wrong ? $$wrong : $good);
        $t->{auth} = "agents_auth jwt $parameters; # HERE";
        my ($status, $out) = $t->check;
        my @lines = split /\n/, $t->conf;
        my ($line) = grep { $lines[$_ - 1] =~ /# HERE/ } 1 .. @lines;

        ok $status != 0 && $out =~ /\[emerg\].*$says.*nginx\.conf:$line\b/,
           "refused: $name" or diag("$line /$says/\n$out");
        unlike $out, qr/\Q$secret\E/, 'no key is shown' if ref $wrong;
    }
    return;
}


# ---- whole flows ----

sub conversation {
    my ($t, $token) = @_;
    my $made = $t->post('/agents/conversations', $t->conversation_body,
                        token => $token->{ann});
    is $made->{status}, 201, 'a conversation is made';
    my $c = $made->{json};
    my $run = $t->post("/agents/conversations/$c->{id}/runs",
                       $t->run_body($c, 'hello'), token => $token->{ann});
    is $run->{status}, 202, 'a run is accepted';
    $run = $t->finished($run->{json}, 30, token => $token->{ann});
    is $run->{final_text}, 'echo: hello', 'it completes';

    for my $who (qw(eve globex)) {
        my @answers = map { $t->get($_, token => $token->{$who}) }
                      "/agents/conversations/$c->{id}", "/agents/runs/$run->{id}",
                      "/agents/conversations/$c->{id}/messages";
        is_deeply [ map { $_->{status} } @answers ], [ 404, 404, 404 ],
                  "$who finds none of it";
        is $t->get('/agents/conversations', token => $token->{$who})
             ->{json}{total_records}, 0, 'nor a trace in the list';
    }
    return;
}


# It is good for 30 s after its exp, and not kept beyond.
sub ends {
    my ($t, $token) = @_;
    my $answer = $t->wait_for(20, sub {
        my $now = $t->get('/agents/conversations', token => $token);
        return $now->{status} == 200 ? undef : $now;
    });
    is $answer->{status}, 401, 'no more after that';
    is $answer->{headers}{'www-authenticate'}, 'Bearer error="invalid_token"',
       'invalid_token';
    is $answer->{json}{detail}, 'The token has expired.', 'with the reason';
    return;
}


# Each token is new, so that a thread is at it when its client goes.
sub leave {
    my ($t, $token) = @_;
    my @workers = sort $t->workers;

    for my $i (1 .. 60) {
        my $socket = $t->socket;
        syswrite $socket, "GET /agents/conversations HTTP/1.1\r\n"
            . "Host: localhost\r\n"
            . "Authorization: Bearer $token->{qq(many $i)}\r\n\r\n";
        close $socket;
    }
    is reads($t, $token->{"many $_"}), 200, "token $_ is good" for 1 .. 3;
    is_deeply [ sort $t->workers ], \@workers, 'the workers are the same';
    return;
}


sub other {
    my ($t, $token) = @_;
    is reads($t, $token->{next}), 401, 'a key that is not there yet';
    is reads($t, $token->{ann}), 200, 'the one that is';

    # a set that is broken does not take the place of one that is not
    keys_are($t, '{"keys":[]}');
    kill 'HUP', $t->pid;
    ok $t->wait_for(10, sub { $t->log =~ /no key to verify with/ }),
       'broken keys are refused';
    is reads($t, $token->{ann}), 200, 'and the others stay';
    $t->allow(qr/no key to verify with/);

    keys_are($t, $jwt->jwks('first', 'second'));
    switched($t, 'both keys', $token->{next}, $token->{ann});
    keys_are($t, $jwt->jwks('second'));
    switched($t, 'the new key alone', $token->{next});
    is reads($t, $token->{ann}), 401, 'the old key is gone';
    return;
}


sub switched {
    my ($t, $name, @tokens) = @_;
    my @old = $t->workers;
    ok $t->reload, "reload: $name";
    ok $t->wait_for(20, sub { !grep { AgentsTest::alive($_) } @old }),
       'the old workers are gone';
    is reads($t, $_), 200, 'its tokens are good' for @tokens;
    return;
}


sub logs {
    my ($t, $token) = @_;
    my $logs = $t->log . $t->access_log;
    like $logs, qr/\[info\].*The token fits no key/, 'the reason is logged';

    for my $name (grep { !/many/ } sort keys %$token) {
        my @parts = split /\./, $token->{$name};
        unlike $logs, qr/\Q$parts[1]\E|\Q$parts[2]\E/, "no part of $name is";
    }
    my $n = $jwt->private('first')->{n};
    unlike $logs, qr/\Q$n\E/, 'nor a key';
    return;
}
