# Requests to AWS: keys of the operator's, of a machine and of a container;
# fetched once, kept, renewed; signatures as two other libraries make them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;
use Encode ();
use File::Temp ();
use JSON::PP;
use POSIX qw(strftime);

my $json = JSON::PP->new->utf8->canonical;
my $plane = '11111111-1111-4111-8111-111111111111';
my $model = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
my @npm = (aws4 => '1.13.2', '@aws-crypto/sha256-js' => '5.2.0',
           '@smithy/signature-v4' => '5.7.5');

# What the scripted AWS is to do, a file each, that its process reads.
my $orders = File::Temp::tempdir('agents-aws-XXXXXX', TMPDIR => 1,
                                 CLEANUP => 1);
my $role = '/latest/meta-data/iam/security-credentials';

my $mock = AgentsTest::Server->start(
    '/model' => \&bedrock, '/latest/api/token' => \&machine_token,
    $role => \&machine_role, '/creds' => \&container);

signatures();
machine();
container_flow();
machine_fails();
config();
done_testing;


# ---- the scripted AWS ----

sub order {
    my ($name, $text) = @_;
    open my $out, '>', "$orders/$name.new" or die "$name: $!\n";
    print $out $text;
    close $out;
    rename "$orders/$name.new", "$orders/$name" or die "$name: $!\n";
    return;
}


sub ordered {
    my ($name) = @_;
    return AgentsTest::slurp("$orders/$name");
}


sub bedrock {
    my ($req) = @_;
    my $text = $req->{json}{messages}[-1]{content}[0]{text};
    my $token = $req->{headers}{'x-amz-security-token'};

    return { status => 403, headers => { 'x-amzn-errortype' =>
                 'ExpiredTokenException' }, json => { message => 'The security'
                 . " token included in the request is expired: $token" } }
        if defined $token && length $token && $token eq ordered('expired');

    return { json => {
        output => { message => { role => 'assistant',
                                 content => [ { text => "echo: $text" } ] } },
        stopReason => 'end_turn', usage => { inputTokens => 1,
            outputTokens => 1, totalTokens => 2 } } };
}


sub machine_token {
    my ($req) = @_;
    return { status => 405 } if $req->{method} ne 'PUT';
    return { status => 400 }
        unless $req->{headers}{'x-aws-ec2-metadata-token-ttl-seconds'};
    return { status => 503 } if ordered('down');
    return { body => 'machine-token==' };
}


sub machine_role {
    my ($req) = @_;
    my $token = $req->{headers}{'x-aws-ec2-metadata-token'} || '';
    return { status => 401 } if $token ne 'machine-token==';
    return { status => 405 } if $req->{method} ne 'GET';
    return { body => "my-role\n" } if $req->{rest} eq '/';
    return { status => 404 } if $req->{rest} ne '/my-role';
    return { json => document('Code', 'Success'), delay => ordered('delay') };
}


sub container {
    my ($req) = @_;
    return { status => 403 }
        if ($req->{headers}{authorization} || '') ne 'container-token';
    return { json => document('RoleArn', 'arn:aws:iam::1:role/x') };
}


# Each time it is asked for, other keys.
my $given;

sub document {
    my ($name, $value) = @_;
    $given++;
    my $left = ordered('life') || 6 * 3600;
    return { $name => $value, AccessKeyId => "ASIA$given",
             SecretAccessKey => "secret-key-$given",
             Token => "session-token-$given",
             Expiration => strftime('%Y-%m-%dT%H:%M:%SZ',
                                    gmtime(time + $left)) };
}


# ---- the flows ----

sub server {
    my ($keys, $env, %args) = @_;
    delete @ENV{grep { /^AWS_/ } keys %ENV};
    local @ENV{keys %$env} = values %$env;
    $mock->forget;
    my $t = AgentsTest->new(workers => 1, mock => $mock,
        location => 'agents_inference_timeout 10s;', %args,
        http => 'agents_provider aws { protocol bedrock; region eu-west-1;'
            . " endpoint http://127.0.0.1:%MOCK%; retries 1; $keys }"
            . "agents_data_plane $plane { cluster shared;"
            . " model m provider=aws id=$model max_tokens=100 no_stream;"
            . " model n provider=aws id=amazon.nova-lite-v1:0 max_tokens=99;"
            . ' }')->start;
    # the server is of all of them, and ends with this test
    $t->{mock} = $mock;
    return $t;
}


sub asked {
    my ($path) = @_;
    return @{$mock->requests($path)};
}


sub start {
    my ($t, $text, $name) = @_;
    my $c = $t->conversation(data_plane_id => $plane, model => $name || 'm');
    return $t->run($c, $text);
}


sub ask {
    my ($t, @what) = @_;
    return $t->finished(start($t, @what));
}


sub is_answered {
    my ($t, $text, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $run = ask($t, $text);
    return is($run->{final_text}, "echo: $text", $what)
        || diag(explain($run->{error}), $t->log);
}


# Nothing of the keys is in the log, and the mock outlives the object.
sub over {
    my ($t) = @_;
    unlike $t->log, qr/(?:secret-key|(?:session|machine|container)-token)/,
           'nothing secret is logged';
    $t->clean;
    delete $t->{mock};
    return;
}


# Signed anew by others, from what the server saw of the requests.
sub is_signed {
    my ($key, @requests) = @_;
    my ($dir, @packages);
    for (my $i = 0; $i < @npm; $i += 2) {
        my $package = AgentsTest::Npm::package(@npm[$i, $i + 1]);
        return diag(AgentsTest::Npm::why()) unless defined $package;
    }
    $dir = AgentsTest::build_dir() . '/npm';

    my $in = File::Temp->new;
    print $in $json->encode([ map { my $h = $_->{headers}; {
        method => $_->{method}, path => $_->{path}, host => $h->{host},
        type => $h->{'content-type'}, date => $h->{'x-amz-date'},
        body => Encode::decode('UTF-8', $_->{body}), region => 'eu-west-1',
        service => 'bedrock', key => $key } } @requests ]);
    close $in;
    my $node = AgentsTest::Npm::node_binary();
    my $script = "$FindBin::Bin/lib/AgentsTest/sigv4.js";
    my $signed = qx($node "$script" "$dir" <"$in");
    die "node failed\n" if $?;
    $signed = $json->decode($signed);

    for my $i (0 .. $#requests) {
        my $ours = plain($requests[$i]{headers}{authorization});
        is $ours, plain($signed->[$i]{$_}), "signed as by $_"
            for qw(aws4 smithy);
    }
    return;
}


# The libraries differ in blanks.
sub plain { return $_[0] =~ s/,\s*/,/gr }


sub signatures {
    for my $token (undef, 'the/session+token==') {
        my $key = { id => 'AKIDEXAMPLE', secret => 'secret-key/+x',
                    $token ? (token => $token) : () };
        my $t = server('aws_credentials env;', {
            AWS_ACCESS_KEY_ID => $key->{id},
            AWS_SECRET_ACCESS_KEY => $key->{secret},
            $token ? (AWS_SESSION_TOKEN => $token) : () });
        is_answered($t, "gr\x{fc}\x{df}e");
        ask($t, 'hello', 'n');
        my @seen = asked('/model');
        is $seen[0]{path}, '/model/us.anthropic.claude-sonnet-4-5-20250929-v1'
                           . '%3A0/converse', 'the path';
        is $seen[1]{path}, '/model/amazon.nova-lite-v1%3A0/converse-stream',
           'and that of a stream';
        is $seen[0]{headers}{'x-amz-security-token'}, $token, 'session token';
        is_signed($key, @seen);
        over($t);
    }
    my $t = server('api_key bearer-key;', {});
    is_answered($t, 'by a key');
    my ($seen) = asked('/model');
    is $seen->{headers}{authorization}, 'Bearer bearer-key', 'a key as it is';
    ok !exists $seen->{headers}{'x-amz-date'}, 'and no signature';
    over($t);
    return;
}


sub machine {
    my $t = server('aws_credentials instance;', {
        AWS_EC2_METADATA_SERVICE_ENDPOINT => $mock->url('/') });
    is asked('/latest'), 0, 'nothing is fetched before it is needed';

    # several at once: one fetch, and all wait for it
    order('delay', '0.3');
    my @runs = map { start($t, "run $_") } 1 .. 5;
    is_deeply [ map { $t->finished($_)->{status} } @runs ],
              [ ('completed') x 5 ], 'five at once';
    order('delay', '0');
    is_deeply [ map { "$_->{method} $_->{path}" } asked('/latest') ],
        [ 'PUT /latest/api/token', "GET $role/", "GET $role/my-role" ],
        'one fetch for all';
    my @seen = asked('/model');
    is_signed({ id => 'ASIA1', secret => 'secret-key-1',
                token => 'session-token-1' }, @seen);
    is_answered($t, 'once more');
    is scalar asked($role), 2, 'the keys are kept';

    # refused: others, once
    order('expired', 'session-token-1');
    is_answered($t, 'others', 'keys that AWS calls expired are renewed');
    @seen = asked('/model');
    is $seen[-2]{headers}{'x-amz-security-token'}, 'session-token-1', 'before';
    is $seen[-1]{headers}{'x-amz-security-token'}, 'session-token-2', 'after';
    is scalar asked("$role/my-role"), 2, 'one more fetch';

    # keys that are about to end: used on, and others fetched behind
    order('expired', 'session-token-2');
    order('life', 200);
    is_answered($t, 'short', 'keys for a while');
    is_answered($t, 'meanwhile', 'are used');
    $t->wait_for(5, sub { asked("$role/my-role") == 4 });
    is scalar asked("$role/my-role"), 4, 'while others are fetched';
    is +(asked('/model'))[-1]{headers}{'x-amz-security-token'},
       'session-token-3', 'in the background';

    # keys that have ended, as far as one can know
    order('life', 1);
    is_answered($t, 'the next', 'the next ones');
    $t->wait_for(5, sub { asked("$role/my-role") == 5 });
    my $n = asked('/model');
    is_answered($t, 'ended', 'keys at their end are not waited upon');
    is +(asked('/model'))[-1]{headers}{'x-amz-security-token'},
       'session-token-6', 'but fetched anew before';
    is asked('/model') - $n, 1, 'asked once';
    order($_, '') for qw(life expired);
    over($t);
    return;
}


sub container_flow {
    my %env = (AWS_CONTAINER_CREDENTIALS_FULL_URI => $mock->url('/creds/x'),
               AWS_CONTAINER_AUTHORIZATION_TOKEN => 'wrong',
               AWS_EC2_METADATA_SERVICE_ENDPOINT => 'http://127.0.0.1:1');
    my $file = "$orders/token";
    order('token', "container-token\n");

    my $t = server('aws_credentials instance;',
                   { %env, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => $file });
    is_answered($t, 'in a container', 'by a token of a file');
    is_deeply [ map { "$_->{method} $_->{path}" } asked('/creds') ],
              [ 'GET /creds/x' ], 'the endpoint is asked';
    my ($seen) = asked('/model');
    my ($n) = $seen->{headers}{'x-amz-security-token'} =~ /(\d+)$/;
    is_signed({ id => "ASIA$n", secret => "secret-key-$n",
                token => "session-token-$n" }, $seen);
    over($t);

    $t = server('aws_credentials instance;', { %env,
                AWS_CONTAINER_AUTHORIZATION_TOKEN => 'container-token' });
    is_answered($t, 'in another', 'by a token of the environment');
    over($t);

    $t = server('aws_credentials instance;', \%env);
    my $run = ask($t, 'hello');
    like $run->{error}{message},
         qr/no credentials.*the request for the keys was answered 403/,
         'a token that is refused';
    is scalar asked('/creds'), 2, 'is tried twice';
    is scalar asked('/model'), 0, 'and no model asked';
    over($t);
    return;
}


# A service that is down, then up; one that says nothing.
sub machine_fails {
    order('down', 'yes');
    my $t = server('aws_credentials instance;', {
        AWS_EC2_METADATA_SERVICE_ENDPOINT => $mock->url }, location => '');
    my $run = ask($t, 'hello');
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'a service that fails';
    like $run->{error}{message},
         qr/the request for the metadata service's token was answered 503/,
         'says so';
    like $t->log, qr/AWS credentials could not be fetched/, 'also in the log';

    my $waits = start($t, 'patience');
    order('down', '');
    is $t->finished($waits)->{final_text}, 'echo: patience',
       'who waits gets them when it is up again';
    over($t);

    order('delay', '60');
    $t = server('aws_credentials instance;', {
        AWS_EC2_METADATA_SERVICE_ENDPOINT => $mock->url },
        location => 'agents_inference_timeout 1s;');
    $run = ask($t, 'hello');
    like $run->{error}{message}, qr/no credentials for the provider in time/,
         'no one waits beyond the deadline';
    order('delay', '0');
    over($t);
    return;
}


sub config {
    my $t = AgentsTest->new(workers => 1, mock => $mock, http =>
        'agents_provider aws { protocol bedrock; region eu-west-1;'
        . ' endpoint http://127.0.0.1:1; aws_credentials instance; }');
    my $check = sub {
        my (%env) = @_;
        local @ENV{keys %env} = values %env;
        my ($status, $out) = $t->check;
        return $status == 0 ? 'taken' : $out;
    };
    is $check->(), 'taken', 'a machine';
    is $check->(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI => '/v2/x'), 'taken',
       'a container';
    like $check->(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI => 'v2'),
         qr/it must begin with "\/" in/, 'a path that is none';
    like $check->(AWS_CONTAINER_CREDENTIALS_FULL_URI => 'ftp://x'),
         qr/FULL_URI "ftp:.*must begin with "http/, 'a URL that is none';
    like $check->(AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://no.invalid/'),
         qr/host not found/, 'a host that there is not';
    like $check->(AWS_EC2_METADATA_SERVICE_ENDPOINT => '169.254.169.254'),
         qr/AWS_EC2_METADATA_SERVICE_ENDPOINT/, 'an address without a scheme';
    like $check->(AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://127.0.0.1/',
                  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => '/nowhere/x'),
         qr{/nowhere/x.*AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE},
         'a file that is not there';
    my $out = $check->(AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://127.0.0.1',
                       AWS_CONTAINER_AUTHORIZATION_TOKEN => "token-x\nA: b");
    like $out, qr/not one line/, 'a token of two lines';
    unlike $out, qr/token-x/, 'which is not repeated';
    delete $t->{mock};
    return;
}
