# The keys of an agents_provider that are of one protocol: what is taken, what
# is refused and in what words, and that no message has a secret in it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $t = AgentsTest->new(workers => 1);
my $secret = 'sk-0123456789-secret';
my $cortex = 'protocol cortex; endpoint http://127.0.0.1:1;';
my $bedrock = 'protocol bedrock; region eu-west-1;'
              . ' endpoint http://127.0.0.1:1;';
my $pair = 'account myorg-acct; user ann; private_key file:%PREFIX%/key.pem;';

delete @ENV{grep { /^AWS_/ } keys %ENV};
files();
taken();
refused();
done_testing;


sub put {
    my ($name, $text) = @_;
    open my $out, '>', $t->prefix . "/$name" or die "$name: $!\n";
    print $out $text;
    close $out or die "$name: $!\n";
    return;
}


sub files {
    my $prefix = $t->prefix;
    my %made = (
        'key.pem'   => '-algorithm RSA -pkeyopt rsa_keygen_bits:2048',
        'short.pem' => '-algorithm RSA -pkeyopt rsa_keygen_bits:1024',
        'ec.pem'    => '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
        'locked.pem' => '-algorithm RSA -aes128 -pass pass:secret',
    );
    for (sort keys %made) {
        system("openssl genpkey $made{$_} -out $prefix/$_ 2>/dev/null") == 0
            or die "openssl genpkey failed\n";
    }
    put('broken.pem', "-----BEGIN PRIVATE KEY-----\n$secret\n"
                      . "-----END PRIVATE KEY-----\n");
    put('aws', "[other]\naws_access_key_id = no\n[default]\n"
               . "# a comment\naws_access_key_id = AKID\n"
               . "aws_secret_access_key = $secret\n");
    put('aws-half', "[default]\naws_access_key_id = $secret\n");
    put('aws-odd', "[default]\naws_access_key_id = AKID\n"
                   . "aws_secret_access_key = $secret x\n");
    return;
}


# What nginx -t says of a provider, with these variables of the environment.
sub check {
    my ($provider, $env) = @_;
    local %ENV = (%ENV, %{$env || {}});
    $t->{config} = <<"CONF";
    agents_store sqlite:%PREFIX%/agents.db;
    agents_provider p { $provider
    }
    agents_data_plane $AgentsTest::PLANE {
        cluster c; model m provider=p max_tokens=10;
    }
    server {
        listen 127.0.0.1:%PORT%;
        location /agents { agents_api; agents_auth token; }
    }
CONF
    return $t->check;
}


sub taken {
    my %keys = (AWS_ACCESS_KEY_ID => 'AKID', AWS_SECRET_ACCESS_KEY => $secret);
    my @cases = (
        [ 'cortex by a token', "$cortex api_key $secret;" ],
        [ 'cortex by OAuth', "$cortex api_key $secret; token_type OAUTH;"
          . ' account xy12345.eu-west-1;' ],
        [ 'cortex by a key pair', "$cortex token_type KEYPAIR_JWT; $pair" ],
        [ 'cortex by a key pair, unsaid', "$cortex $pair" ],
        [ 'bedrock by a key', "$bedrock api_key $secret;" ],
        [ 'bedrock by the environment', "$bedrock aws_credentials env;",
          \%keys ],
        [ 'bedrock by a file', "$bedrock aws_credentials file:%PREFIX%/aws;" ],
    );
    for (@cases) {
        my ($name, $provider, $env) = @$_;
        my ($status, $out) = check($provider, $env);
        is $status, 0, "taken: $name" or diag($out);
        unlike $out, qr/\[(?:warn|error|crit|alert|emerg)\]/, 'without a word';
    }
    return;
}


sub refused {
    my $key = 'private_key file:%PREFIX%';
    my $jwt = 'account a; user u;';
    my @cases = (
        [ 'account of another', "protocol openai; endpoint http://127.0.0.1;"
          . ' account a;', 'of the protocol "cortex"' ],
        [ 'region of another', "$cortex api_key $secret; region eu-west-1;",
          'of the protocol "bedrock"' ],
        [ 'cortex without anything', 'protocol cortex;', '"api_key"' ],
        [ 'cortex without a host', "protocol cortex; api_key $secret;",
          'needs an "account" or an "endpoint"' ],
        [ 'account that is none', "$cortex account a/$secret;",
          'invalid "account".*in .*:\d+' ],
        [ 'account with a dot first', "$cortex account .a;",
          'invalid "account"' ],
        [ 'account twice', "$cortex account a; account b;",
          'duplicate "account"' ],
        [ 'token_type unknown', "$cortex token_type jwt;",
          '"PROGRAMMATIC_ACCESS_TOKEN", "KEYPAIR_JWT" or "OAUTH"' ],
        [ 'token_type twice', "$cortex token_type OAUTH; token_type OAUTH;",
          'duplicate "token_type"' ],
        [ 'user with a control character', "$cortex user \"a\tb\";",
          'invalid "user"' ],
        [ 'private_key that is no file', "$cortex private_key $secret;",
          'must be "file:PATH"' ],
        [ 'private_key that is not there', "$cortex $key/nothing;",
          'nothing.*cannot be opened' ],
        [ 'key pair and token', "$cortex $pair api_key $secret;",
          'exclude each other' ],
        [ 'key pair without a user', "$cortex account a; $key/key.pem;",
          'needs "account", "user" and "private_key"' ],
        [ 'key pair without an account', "$cortex user u; $key/key.pem;",
          'needs "account", "user" and "private_key"' ],
        [ 'key pair without a key', "$cortex $jwt token_type KEYPAIR_JWT;",
          'needs "account", "user" and "private_key"' ],
        [ 'user with a token', "$cortex user u; api_key $secret;",
          'of "token_type KEYPAIR_JWT"' ],
        [ 'OAuth with a key pair', "$cortex $pair token_type OAUTH;",
          'of "token_type KEYPAIR_JWT"' ],
        [ 'a broken key', "$cortex $jwt $key/broken.pem;", 'no private key' ],
        [ 'a locked key', "$cortex $jwt $key/locked.pem;", 'not encrypted' ],
        [ 'a short key', "$cortex $jwt $key/short.pem;", '2048 bits' ],
        [ 'a key of a curve', "$cortex $jwt $key/ec.pem;", 'no RSA key' ],

        [ 'bedrock without anything', 'protocol bedrock;',
          '"api_key" or "aws_credentials"' ],
        [ 'bedrock without a region', "protocol bedrock; api_key $secret;",
          'needs a "region"' ],
        [ 'region that is none', "$bedrock region a/b;",
          'duplicate "region"' ],
        [ 'region with odd characters', 'protocol bedrock; region a/b;',
          'such as us-east-1' ],
        [ 'both kinds of keys', "$bedrock api_key $secret;"
          . ' aws_credentials file:%PREFIX%/aws;', 'exclude each other' ],
        [ 'aws_credentials unknown', "$bedrock aws_credentials $secret;",
          '"env", "file:PATH" or "instance"' ],
        [ 'aws_credentials without keys', "$bedrock aws_credentials env;",
          'no access key and secret key' ],
        [ 'half of the keys', "$bedrock aws_credentials"
          . ' file:%PREFIX%/aws-half;', 'no access key and secret key' ],
        [ 'keys with blanks', "$bedrock aws_credentials"
          . ' file:%PREFIX%/aws-odd;', 'blanks or control characters' ],
        [ 'aws_credentials twice', "$bedrock aws_credentials"
          . " file:%PREFIX%/aws;\naws_credentials env;",
          'duplicate "aws_credentials"' ],
    );
    for (@cases) {
        my ($name, $provider, $says, $env) = @$_;
        my ($status, $out) = check($provider, $env);
        my ($message) = $out =~ /\[emerg\] [\d#: ]*(.*)/;
        ok $status != 0 && defined $message && $message =~ /$says/
           && $message =~ /nginx\.conf:\d+/, "refused: $name" or diag($out);
        unlike $out, qr/\Q$secret\E/, 'without a secret';
    }
    return;
}
