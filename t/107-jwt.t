# Bearer tokens that an issuer has signed: which are taken, for whom, and which
# are refused.  Keys and tokens are made by node, see AgentsTest::Jwt.

use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest::Jwt;
use Test::Nginx::Socket 'no_plan';

my $jwt = AgentsTest::Jwt->new(
    rsa => 'rsa', pinned => 'rsa', enc => 'rsa', signer => 'rsa',
    stranger => 'rsa', nameless => 'P-256', ec256 => 'P-256',
    ec384 => 'P-384', ec521 => 'P-521', ecstranger => 'P-256',
    secret => 'oct-64', short => 'oct-32');

our $jwks = $jwt->jwks('rsa', [ pinned => { alg => 'RS256', use => 'sig',
                                            key_ops => [ 'verify' ] } ],
    [ enc => { use => 'enc' } ], [ signer => { key_ops => [ 'sign' ] } ],
    [ nameless => { kid => undef } ], [ ec256 => { use => 'sig' } ], 'ec384',
    'ec521', 'secret', 'short', [ ec256 => { kid => 'other', kty => 'OKP',
                                             crv => 'Ed25519', y => undef } ]);
our $strangers = $jwt->jwks('stranger');

my %signer = ((map { $_ => 'rsa' } qw(RS256 RS384 RS512 PS256 PS384 PS512)),
              ES256 => 'ec256', ES384 => 'ec384', ES512 => 'ec521',
              HS256 => 'secret', HS384 => 'secret', HS512 => 'secret');
our @algs = sort keys %signer;

our @good = (
    # name => a token's description
    (map { ("$_ with kid" => { alg => $_, key => $signer{$_},
                               header => { kid => $signer{$_} } },
            $_ => { alg => $_, key => $signer{$_} }) } @algs),
    'a key without a kid' => { alg => 'ES256', key => 'nameless' },
    'a key that names its algorithm' => { alg => 'RS256', key => 'pinned' },
    'a secret of 32 bytes' => { alg => 'HS256', key => 'short' },
    (map { my ($name, @more) = @$_;
           $name => { alg => 'ES256', key => 'ec256', @more } }
     [ 'another typ', header => { typ => 'at+jwt' } ],
     [ 'no typ', header => { typ => undef } ],
     [ 'headers that are not looked at',
       header => { jku => 'http://127.0.0.1:1/', jwk => { kty => 'oct' },
                   x5c => [ 'x' ], b64 => \0 } ],
     [ 'an array of audiences', claims => { aud => [ 'other', 'agents' ] } ],
     [ 'an expiry of the last 30 s', claims => { exp => time - 5 } ],
     [ 'an expiry with a fraction', claims => { exp => time + 100.5 } ],
     [ 'an expiry far away', claims => { exp => 9e18 } ],
     [ 'a begin in the next 30 s', claims => { nbf => time + 25 } ],
     [ 'a begin in the past', claims => { nbf => time - 1000 } ],
     [ 'other claims', claims => { iat => time + 1000, 'https://x/y' =>
                                   { list => [ 1, 2.5, undef, \1 ] } } ]),
);

our @bad = (
    'none' => { alg => 'none' }, 'None' => { alg => 'None', sign => 'none' },
    'none with a signature' => { alg => 'none', sign => 'RS256',
                                 key => 'rsa' },
    (map { my $form = $_;
           map { ("$_ by the RSA key as $form" =>
                  { alg => $_, key => 'rsa', form => $form },
                  "$_ by the RSA key as $form, with its kid" =>
                  { alg => $_, key => 'rsa', form => $form,
                    header => { kid => 'rsa' } }) } qw(HS256 HS512)
     } 'pem spki', 'pem pkcs1', 'der spki', 'n', 'jwk'),
    (map { ("HS256 by the EC key as $_" =>
            { alg => 'HS256', key => 'ec256', form => $_ }) }
     'pem spki', 'der spki', 'x', 'jwk'),
    (map { ("an algorithm $_" => { alg => $_, sign => 'RS256', key => 'rsa' }) }
     'rs256', 'RS128', 'ES256K', 'EdDSA', 'RSA-OAEP', '', 'HS256 '),
    'a key that is not in the set' => { alg => 'RS256', key => 'stranger' },
    'another curve point' => { alg => 'ES256', key => 'ecstranger' },
    'the kid of another key' => { alg => 'RS256', key => 'rsa',
                                  header => { kid => 'pinned' } },
    'a kid that there is not' => { alg => 'RS256', key => 'rsa',
                                   header => { kid => 'nobody' } },
    'a kid for a key without one' => { alg => 'ES256', key => 'nameless',
                                       header => { kid => 'nameless' } },
    'a kid that is no string' => { alg => 'RS256', key => 'rsa',
                                   header => { kid => 1 } },
    'a key of another algorithm' => { alg => 'RS512', key => 'pinned',
                                      header => { kid => 'pinned' } },
    'PS256 with a key for RS256' => { alg => 'PS256', key => 'pinned' },
    'a key for encryption' => { alg => 'RS256', key => 'enc' },
    'a key for signing alone' => { alg => 'RS256', key => 'signer' },
    'a secret too short for HS384' => { alg => 'HS384', key => 'short' },
    'a secret too short for HS512' => { alg => 'HS512', key => 'short' },
    'RS256 that is PS256' => { alg => 'RS256', sign => 'PS256',
                               key => 'rsa' },
    'PS256 that is RS256' => { alg => 'PS256', sign => 'RS256',
                               key => 'rsa' },
    'another hash' => { alg => 'RS256', sign => 'RS512', key => 'rsa' },
    'ES384 by P-256' => { alg => 'ES384', key => 'ec256' },
    'ES256 by P-384' => { alg => 'ES256', key => 'ec384' },
    'RS256 by an EC key' => { alg => 'RS256', sign => 'ES256',
                              key => 'ec256' },
    (map { my ($name, @more) = @$_;
           $name => { alg => 'ES256', key => 'ec256', @more } }
     [ 'crit', header => { crit => [ 'exp' ], exp => 1 } ],
     [ 'an empty crit', header => { crit => [] } ],
     [ 'crit and b64', header => { crit => [ 'b64' ], b64 => \0 } ],
     [ 'no alg', header => { alg => undef } ],
     [ 'alg twice', head => '{"alg":"HS256","alg":"ES256"}' ],
     [ 'an alg that is no string', head => '{"alg":["ES256"]}' ],
     [ 'a header that is an array', head => '["ES256"]' ],
     [ 'a header that is no JSON', head => '{"alg":"ES256"' ],
     [ 'a header with more behind it', head => '{"alg":"ES256"} {}' ],
     [ 'a header with a NUL', head => "{\"alg\":\"ES256\",\"a\":\"\\u0000\"}" ],
     (map { [ "claims $_", payload => $_ ] } '', '1', '[]', '{', 'null',
      '{"iss":"https://issuer.test"}{}', "\x{0}"),
     [ 'a claim twice', payload => '{"iss":"https://issuer.test","aud":'
       . '"agents","exp":9999999999,"tenant":"acme","sub":"ann","sub":"eve"}' ],
     [ 'an exp that is no number of JSON', payload => '{"iss":'
       . '"https://issuer.test","aud":"agents","exp":1e999,"tenant":"acme",'
       . '"sub":"ann"}' ],
     (map { my ($claim, @values) = @$_;
            map { my $shown = defined $_ ? JSON::PP->new->allow_nonref
                                               ->canonical->encode($_) : 'no';
                  [ "$claim: $shown", claims => { $claim => $_ } ] } @values }
      [ iss => undef, 'other', 'https://issuer.test/', '',
        [ 'https://issuer.test' ], 1 ],
      [ aud => undef, 'other', 'agent', '', [], [ 'other' ], [ [ 'agents' ] ],
        { agents => 1 }, 7, \1 ],
      [ exp => undef, time - 31, 0, -1, -1e300, '9999999999', \1, [], {} ],
      [ nbf => time + 90, 1e300, '0', \0, [] ],
      [ tenant => undef, '', \1, 1.5, [ 'acme' ], { id => 'acme' },
        'x' x 513, "acme\r\nX-Role: admin", "ac\tme", "acme\x7f" ],
      [ sub => undef, '', \0, -0.5, [ 'ann' ], { id => 'ann' }, 'x' x 513 ])),
);

my %token = $jwt->tokens(@good);
our @good_names = @good[grep { $_ % 2 == 0 } 0 .. $#good];
our @good_tokens = @token{@good_names};
our $good = $token{RS256};

%token = $jwt->tokens(@bad);
our @bad_names = @bad[grep { $_ % 2 == 0 } 0 .. $#bad];
our @bad_tokens = @token{@bad_names};

# each for its own reason: what it says, by what the name begins with
my @why = (
    [ qr/^none$|^None|^claims $/ => q(no signed JWT) ],
    [ qr/^none|^an algorithm/ => q(algorithm is not accepted) ],
    [ qr/^(?:a|no|alg) .*\b(?:alg|header)\b|a kid that is no|^alg twice|^an alg that/ =>
      q(header is malformed) ],
    [ qr/crit/ => q(header has .*crit) ],
    [ qr/^claims|^a claim|no number of JSON/ =>
      q(claims are malformed) ],
    [ qr/^iss/ => q(of another issuer) ],
    [ qr/^aud/ => q(for another audience) ],
    [ qr/^exp: (?:no|"|true|\[|\{)/ => q(needs a claim .*exp) ],
    [ qr/^exp/ => q(has expired) ],
    [ qr/^nbf: (?:"|false|\[)/ => q(needs a claim .*nbf) ],
    [ qr/^nbf/ => q(not valid yet) ],
    [ qr/^(?:tenant|sub)/ => q(does not name a company and a user) ],
    [ qr/^RS256 that|^PS256 that|^another|not in the set/ => q(signature is wrong) ],
    [ qr/./ => q(fits no key|signature is wrong) ]);
our @whys = map { my $name = $_;
                  (map { $name =~ $_->[0] ? $_->[1] : () } @why)[0]
            } @bad_names;

# what is no token in compact form, or one that was changed on its way
my ($head, $claims, $signature) = split /\./, $good;
my ($other) = $token{'a claim twice'} =~ /\.([^.]*)\./;
(my $bits = $good) =~ s/(.)$/chr(ord($1) + 1)/e;
our @broken = (
    'x', '.', '..', '...', "$head.$claims", "$head.$claims.", "$head..$signature",
    ".$claims.$signature", "$good.", "$good.$signature", "$good.x.y", ".$good",
    "$head.$other.$signature", "$head.$claims.$signature" . 'A',
    "$head.$claims." . substr($signature, 0, -4), $bits, "$good==",
    "$head=.$claims.$signature", "$head.$claims ." . $signature,
    "$head.$claims.+" . substr($signature, 1),
    "$head.$claims./" . substr($signature, 1), "\xff$good", "$good\x01",
    "$head\x80.$claims.$signature", uc $good, "\"$good\"", "$good,$good",
    "$good $good", $good . 'A' x 18000, ('A' x 18000) . ".$claims.$signature",
    "$head.$claims." . 'A' x 17000);

%token = $jwt->tokens(map { my ($name, $claims) = @$_;
    $name => { alg => 'ES256', key => 'ec256', claims => $claims } }
    [ read => { scope => 'read' } ], [ write => { scope => 'write' } ],
    [ none => { scope => undef } ], [ other => { scope => 'reads xwrite' } ],
    [ full => { scope => 'openid agent_conversations:read'
                         . ' agent_conversations:write' } ],
    [ array => { scope => [ 'x', 'agent_conversations:write', 'read' ] } ],
    [ comma => { scope => 'read,write' } ],
    [ nested => { scope => [ 'read write', [ 'read' ] ] } ],
    [ number => { scope => 7 } ], [ object => { scope => { read => \1 } } ],
    [ upper => { scope => 'READ Write' } ],
    [ numbers => { tenant => 42, sub => -7 } ],
    [ large => { tenant => 9007199254740993, sub => 'x' x 512 } ],
    [ text => { tenant => 'A & B "Co"', sub => "m\x{fc}ller\@\x{4f8b}" } ],
    [ a => {} ]);
our %made = %token;
our %stranger = $jwt->tokens(b => { alg => 'RS256', key => 'stranger' });

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('user_files', ">>> keys.json\n$main::jwks\n"
                                    . ">>> strangers.json\n$main::strangers\n");
    $block->set_value('http_config', <<'CONF');
    large_client_header_buffers 4 64k;
    agents_store sqlite:$TEST_NGINX_SERVER_ROOT/logs/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared;
        model m provider=p max_tokens=32000;
    }
CONF
    $block->set_value('config', <<"CONF") if !defined $block->config;
    location /agents {
        agents_api;
        agents_auth jwt jwks=file:\$TEST_NGINX_SERVER_ROOT/html/keys.json
                    $AgentsTest::Jwt::RULES;
        add_header X-Who "\$agents_company/\$agents_user" always;
    }
CONF
});

no_root_location();
run_tests();

__DATA__

=== TEST 1: good tokens, by every algorithm
--- request eval
[map { "GET /agents/conversations?" . s/\W/_/gr } @main::good_names]
--- more_headers eval
[map { "Authorization: Bearer $_" } @main::good_tokens]
--- error_code eval
[(200) x @main::good_tokens]
--- response_headers eval
[("X-Who: acme/ann") x @main::good_tokens]
--- no_error_log
[error]


=== TEST 2: bad tokens: algorithms, keys, headers and claims
--- request eval
[map { "GET /agents/conversations?" . substr(s/\W/_/gr, 0, 60) }
 @main::bad_names]
--- more_headers eval
[map { "Authorization: Bearer $_" } @main::bad_tokens]
--- error_code eval
[(401) x @main::bad_tokens]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer error=\"invalid_token\"
X-Who: /") x @main::bad_tokens]
--- response_body_like eval
[map { '\A\{"type":"http://localhost/errors/invalid-token","title":"Invalid Token","status":401,"detail":"The token.*(?:' . $_ . ')' } @main::whys]
--- no_error_log
[error]


=== TEST 3: what is no token, or was changed on its way
--- request eval
[map { "GET /agents/conversations?$_" } 1 .. @main::broken]
--- more_headers eval
[map { "Authorization: Bearer $_" } @main::broken]
--- error_code eval
[(401) x @main::broken]
--- response_headers eval
[("WWW-Authenticate: Bearer error=\"invalid_token\"") x @main::broken]
--- no_error_log
[error]


=== TEST 4: no token, or of another scheme
--- request eval
[("GET /agents/conversations") x 5, "POST /agents/conversations\n{}"]
--- more_headers eval
["X: y", "Authorization: Basic $main::good", "Authorization: $main::good",
 "Authorization: ", "Cookie: token=$main::good", "X: y"]
--- error_code eval
[(401) x 6]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer") x 6]
--- no_error_log
[error]


=== TEST 5: the scheme in any case, with blanks
--- request eval
[("GET /agents/conversations") x 4]
--- more_headers eval
["Authorization: bearer $main::good", "Authorization: BEARER   $main::good",
 "Authorization:    bEaReR $main::good  ", "authorization: Bearer $main::good"]
--- error_code eval
[(200) x 4]
--- no_error_log
[error]


=== TEST 6: two Authorization headers are nginx's 400, whatever they are
--- raw_request eval
["GET /agents/conversations HTTP/1.1\r
Host: localhost\r
Authorization: Bearer $main::good\r
Authorization: Bearer $main::good\r
Connection: close\r
\r
"]
--- error_code: 400
--- no_error_log
[error]


=== TEST 7: permissions
--- request eval
[(map { "GET /agents/conversations?$_" }
  qw(read full array a write none other comma nested number object upper)),
 map { "POST /agents/conversations?$_\n{}" } qw(write full array a read none comma)]
--- more_headers eval
[(map { "Authorization: Bearer $main::made{$_}" }
  qw(read full array a write none other comma nested number object upper)),
 map { "Authorization: Bearer $main::made{$_}\nContent-Type: application/json" }
     qw(write full array a read none comma)]
--- error_code eval
[(200) x 4, (403) x 8, (400) x 4, (403) x 3]
--- no_error_log
[error]


=== TEST 8: without the permission: insufficient_scope
--- request eval
["GET /agents/conversations", "POST /agents/conversations\nno json"]
--- more_headers eval
["Authorization: Bearer $main::made{write}",
 "Authorization: Bearer $main::made{read}"]
--- error_code eval
[403, 403]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer error=\"insufficient_scope\"") x 2]
--- no_error_log
[error]


=== TEST 9: who it is: numbers as their decimal text, any UTF-8
--- request eval
[("GET /agents/conversations") x 3]
--- more_headers eval
[map { "Authorization: Bearer $main::made{$_}" } qw(numbers large text)]
--- error_code eval
[200, 200, 200]
--- response_headers eval
["X-Who: 42/-7", "X-Who: 9007199254740993/" . "x" x 512,
 "X-Who: A & B \"Co\"/m\xc3\xbcller\@\xe4\xbe\x8b"]
--- no_error_log
[error]


=== TEST 10: a token that one location has verified is not known to another
--- config
    location /agents {
        agents_api;
        agents_auth jwt jwks=file:$TEST_NGINX_SERVER_ROOT/html/keys.json
            issuer=https://issuer.test audience=agents company=tenant user=sub
            permissions=scope;
        location /agents/runs {
            agents_api two;
            agents_auth jwt jwks=file:$TEST_NGINX_SERVER_ROOT/html/strangers.json
                issuer=https://issuer.test audience=agents company=tenant
                user=sub permissions=scope;
        }
        location ~ /messages$ {
            agents_api three;
            agents_auth jwt jwks=file:$TEST_NGINX_SERVER_ROOT/html/keys.json
                issuer=https://issuer.test audience=other company=tenant
                user=sub permissions=scope;
        }
        location ~ /runs$ {
            agents_api four;
            agents_auth token;
        }
        location ~ /conversations/[^/]*$ {
            agents_api five;
        }
    }
--- request eval
["GET /agents/conversations", "GET /agents/runs/x",
 "GET /agents/conversations/x/messages",
 "POST /agents/conversations/x/runs\n{}",
 "GET /agents/conversations/x", "GET /agents/conversations",
 "GET /agents/runs/x", "GET /agents/conversations", "GET /agents/runs/x"]
--- more_headers eval
[(map { "Authorization: Bearer $main::made{a}" } 1 .. 6),
 map { "Authorization: Bearer $main::stranger{b}" } 1 .. 3]
--- error_code eval
[200, 401, 401, 401, 404, 200, 404, 401, 404]
--- no_error_log
[error]
