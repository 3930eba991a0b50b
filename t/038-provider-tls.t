# https to a provider: the certificate is held to ssl_trusted_certificate and the
# name; one that does not hold fails the run, and leaves nothing behind in the
# worker that nginx's own TLS stumbles over.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

plan skip_all => 'no openssl here' if system 'openssl version >/dev/null 2>&1';

my $tls = AgentsTest::free_port();
my $t = AgentsTest->new(
    workers => 1,
    http => join("\n", map { my ($name, $host, $ca) = @$_;
        "agents_provider $name { protocol openai; api_key k; retries 0;"
        . " endpoint https://$host:$tls/v1; $ca }" }
        [ good => 'localhost', 'ssl_trusted_certificate %PREFIX%/tls.pem;' ],
        [ stranger => 'localhost', '' ],
        [ other => '127.0.0.1', 'ssl_trusted_certificate %PREFIX%/tls.pem;' ])
        . <<"CONF",
    server {
        listen 127.0.0.1:$tls ssl;
        ssl_certificate %PREFIX%/tls.pem;
        ssl_certificate_key %PREFIX%/tls.key;
        access_log off;
        location / { proxy_pass http://127.0.0.1:%MOCK%; }
    }
CONF
    plane => join "\n", map { "model $_ provider=$_ max_tokens=100;" }
             qw(good stranger other));

my $prefix = $t->prefix;
system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $prefix/tls.key -out $prefix/tls.pem"
       . ' -addext subjectAltName=DNS:localhost 2>/dev/null') == 0
    or die "no certificate\n";
$t->start;

# the worker serves both ends, so what one leaves behind is the other's
for my $round (1 .. 3) {
    my %run = map { $_ => $t->run($t->conversation(model => $_, mcp => ''),
                                  'hello') } qw(good stranger other);
    my %done = map { $_ => $t->finished($run{$_}) } keys %run;

    is $done{good}{final_text}, 'echo: hello', "$round: one that holds";
    for (qw(stranger other)) {
        is $done{$_}{error}{type}, 'AgentLoopInferenceFailed',
           "$round: $_ does not";
        like $done{$_}{error}{message}, qr/certificate/, 'it is said why';
    }
}

$t->clean;
done_testing;
