# Snowflake Cortex: paths and forms by the model's family, what says who asks,
# tokens of a key pair and their renewal, errors and what is tried again.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use JSON::PP;
use MIME::Base64 qw(decode_base64);

my $json = JSON::PP->new->utf8;
my $api = '/api/v2/cortex/v1';
my $plane = '11111111-1111-4111-8111-111111111111';
my %token = (pat => 'pat-secret-1', oauth => 'oauth-secret-2');
my $key;

my @providers = (
    pat   => "account acct; api_key $token{pat};",
    oauth => "token_type OAUTH; api_key $token{oauth};",
    pair  => 'account MyOrg-my_acct; user ann@example.com;'
             . ' private_key file:%PREFIX%/key.pem;',
    once  => 'account a; user u; private_key file:%PREFIX%/key.pem;'
             . ' retries 0;',
);
my $t = AgentsTest->new(workers => 1,
    handlers => {
        "$api/chat/completions" => AgentsTest::Model::handler(),
        "$api/messages" => \&claude,
    },
    http => blocks(),
    location => 'agents_inference_timeout 10s;');
$key = make_key($t->prefix . '/key.pem');
$t->start;

subtest 'a programmatic access token' => \&access_token;
subtest 'OAuth' => \&oauth;
subtest 'Claude' => \&claude_flow;
subtest 'a key pair' => \&key_pair;
subtest 'a token that is refused' => \&renewed;
subtest 'a token that stays refused' => \&refused;
subtest 'what is tried again' => \&again;
subtest 'nothing secret is logged' => \&secret;
$t->clean;
done_testing;


sub blocks {
    my ($text, $models) = ('', '');
    my @list = @providers;
    while (my ($name, $keys) = splice @list, 0, 2) {
        $text .= "agents_provider $name { protocol cortex; retries 1;"
                 . " endpoint http://127.0.0.1:%MOCK%; $keys }\n";
        $text =~ s/retries 1;(.*retries 0;)/$1/;
        $models .= "model $name provider=$name id=llama3.1-70b"
                   . " max_tokens=1000;\n"
                   . "model $name-claude provider=$name"
                   . " id=claude-sonnet-4-5 max_tokens=1000;\n";
    }
    return "$text agents_data_plane $plane { cluster shared; $models }";
}


sub make_key {
    my ($path) = @_;
    my $made = system('openssl genpkey -algorithm RSA -pkeyopt'
        . " rsa_keygen_bits:2048 -out $path 2>/dev/null"
        . " && openssl pkey -in $path -pubout -out $path.pub");
    die "openssl failed\n" if $made != 0;
    my $print = qx(openssl pkey -in $path -pubout -outform DER |
                   openssl dgst -sha256 -binary | openssl enc -base64 -A);
    return { path => $path, fingerprint => $print };
}


# A Claude that says what it was asked, or what the text scripts.
sub claude {
    my ($req) = @_;
    my $blocks = $req->{json}{messages}[-1]{content};
    my $text = $blocks->[-1]{text};
    my @content = { type => 'text', text => 'claude: '
                    . (defined $text ? $text : $blocks->[-1]{content}) };

    if (($text || '') eq 'think and call') {
        @content = ({ type => 'thinking', thinking => 'hm',
                      signature => 'sig==' },
                    { type => 'tool_use', id => 'toolu_1', name => 'mcp-add',
                      input => { a => 1, b => 2 } });
    }
    return { json => { type => 'message', role => 'assistant',
        content => \@content, stop_reason => @content == 2 ? 'tool_use'
                                                           : 'end_turn',
        usage => { input_tokens => 3, output_tokens => 4 } } };
}


sub run {
    my ($model, $text, %defaults) = @_;
    $t->mock->forget;
    my $c = $t->conversation(model => $model, data_plane_id => $plane,
                             %defaults);
    my $run = $t->finished($t->run($c, $text));
    return ($run, grep { $_->{path} =~ m{^/api/} } @{$t->mock->requests});
}


sub access_token {
    my ($run, @asked) = run('pat', 'hello');
    is $run->{final_text}, 'echo: hello', 'an answer'
        or diag explain $run->{error};
    is @asked, 1, 'asked once';
    is $asked[0]{path}, "$api/chat/completions", 'chat completions';
    is $asked[0]{headers}{authorization}, "Bearer $token{pat}", 'the token';
    is $asked[0]{headers}{'x-snowflake-authorization-token-type'},
       'PROGRAMMATIC_ACCESS_TOKEN', 'its type';
    is $asked[0]{json}{model}, 'llama3.1-70b', 'the model';
    is $asked[0]{json}{max_completion_tokens}, 1000, 'max_completion_tokens';
    ok !exists $asked[0]{json}{max_tokens}, 'and no max_tokens';
    return;
}


sub oauth {
    my ($run, @asked) = run('oauth', 'hello');
    is $run->{status}, 'completed', 'completed';
    is $asked[0]{headers}{authorization}, "Bearer $token{oauth}", 'the token';
    is $asked[0]{headers}{'x-snowflake-authorization-token-type'}, 'OAUTH',
       'its type';
    return;
}


sub claude_flow {
    my ($run, @asked) = run('pat-claude', 'think and call', mcp => '');
    is $run->{final_text}, 'claude: 3', 'an answer'
        or diag explain $run->{error};
    is_deeply $run->{usage}, { prompt_tokens => 6, completion_tokens => 8,
                               total_tokens => 14 }, 'usage';
    is_deeply [ map { $_->{path} } @asked ], [ ("$api/messages") x 2 ],
              'messages';
    is $asked[0]{headers}{'anthropic-version'}, '2023-06-01', 'the version';
    is $asked[0]{headers}{authorization}, "Bearer $token{pat}", 'the token';
    is_deeply [ map { $_->{role} } @{$asked[1]{json}{messages}} ],
              [ qw(user assistant user) ], 'ends with the user';
    is_deeply $asked[1]{json}{messages}[1]{content}[0],
              { type => 'thinking', thinking => 'hm', signature => 'sig==' },
              'what it thought goes back as it came';
    return;
}


# The claims of a token, if the key has signed it.
sub claims {
    my ($header) = @_;
    my ($head, $payload, $signature) = $header =~ /^Bearer (.+)\.(.+)\.(.+)$/;
    my $file = $t->prefix . '/signature';
    open my $out, '>:raw', $file or die "$file: $!\n";
    print $out base64url($signature);
    close $out;
    open my $verify, '|-', "openssl dgst -sha256 -verify $key->{path}.pub"
        . " -signature $file >/dev/null" or die "openssl: $!\n";
    print $verify "$head.$payload";
    close $verify or return;
    return unless base64url($head) eq '{"alg":"RS256","typ":"JWT"}';
    return $json->decode(base64url($payload));
}


sub base64url {
    my ($text) = @_;
    return decode_base64($text =~ tr{-_}{+/}r . '=' x (-length($text) % 4));
}


sub key_pair {
    my ($run, @asked) = run('pair', 'hello');
    is $run->{status}, 'completed', 'completed'
        or diag explain $run->{error};
    is $asked[0]{headers}{'x-snowflake-authorization-token-type'},
       'KEYPAIR_JWT', 'its type';

    my $header = $asked[0]{headers}{authorization};
    my $claims = claims($header);
    ok $claims, 'a token that the key has signed' or return;
    my ($iat, $exp) = delete @$claims{qw(iat exp)};
    is_deeply $claims, {
        iss => "MYORG-MY_ACCT.ANN\@EXAMPLE.COM.SHA256:$key->{fingerprint}",
        sub => 'MYORG-MY_ACCT.ANN@EXAMPLE.COM' }, 'its claims';
    ok abs(time - $iat) < 60 && $exp > $iat && $exp - $iat <= 3600,
       'good for an hour at most';

    ($run, @asked) = run('pair', 'again');
    is $asked[0]{headers}{authorization}, $header, 'the token is kept';
    return;
}


sub error {
    my ($status, $message, %more) = @_;
    return { status => $status, json => { message => $message,
             code => '390144', request_id => 'x' }, %more };
}


# Once, at once, and beside the retries: this provider has none.
sub renewed {
    my $old = (run('once', 'hello'))[1]{headers}{authorization};
    $t->wait_for(5, sub { time > claims($old)->{iat} + 1 });

    my ($run, @asked) = run('once', script(
        error(401, 'JWT token is invalid', times => 1), { text => 'fine' }));
    is $run->{final_text}, 'fine', 'an answer' or diag explain $run->{error};
    is $run->{iterations_used}, 1, 'one iteration';
    is @asked, 2, 'asked twice';
    is $asked[0]{headers}{authorization}, $old, 'first by the old token';
    my $new = $asked[1]{headers}{authorization};
    isnt $new, $old, 'then by a new one';
    ok claims($new), 'which is good';
    is((run('once', 'next'))[1]{headers}{authorization}, $new, 'and kept');
    return;
}


sub refused {
    my ($run, @asked) = run('pair', script(
        error(401, 'no such user', times => 9)));
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'failed';
    like $run->{error}{message}, qr/401: no such user/, 'in its own words';
    is @asked, 2, 'asked twice';

    ($run, @asked) = run('pat', script(error(401, "bad $token{pat}")));
    like $run->{error}{message}, qr/401: bad \[api key\]/, 'a token of the'
         . ' operator is not asked for again';
    is @asked, 1, 'asked once';

    ($run, @asked) = run('pair', script({ status => 400, json => {
        message => 'x' x 490 . ' ' . 'eyJhbGciOiJSUzI1NiIsInR5cCI6' } }));
    like $run->{error}{message}, qr/x \[api key\]$/, 'a token is told nowhere';
    return;
}


sub again {
    for my $status (429, 503, 504) {
        my ($run, @asked) = run('pat', script(
            error($status, 'busy', times => 1), { text => 'fine' }));
        is $run->{final_text}, 'fine', "$status is tried again";
        is @asked, 2, 'once';
    }
    for my $status (400, 403, 408, 500, 502, 529) {
        my ($run, @asked) = run('pat', script(
            error($status, 'no', times => 1), { text => 'fine' }));
        like $run->{error}{message}, qr/$status: no/, "$status is not";
        is @asked, 1, 'asked once';
    }
    my ($run) = run('pat', script(error(400, 'max tokens of 8 exceeded')));
    is $run->{error}{type}, 'AgentLoopContextOverflow', 'a prompt too long';
    return;
}


sub secret {
    unlike $t->log, qr/\Q$_\E/, 'no token' for values %token;
    unlike $t->log, qr/eyJ/, 'nor one of the key pair';
    return;
}
