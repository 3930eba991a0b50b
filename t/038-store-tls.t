# PostgreSQL by TLS: a run with its certificate verified; one that does not hold
# keeps the store away, and leaves nothing behind in the worker that nginx's own
# TLS stumbles over.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use File::Copy ();

plan skip_all => 'PostgreSQL is not installed'
    unless grep { $_ eq 'postgres' } AgentsTest->stores;
plan skip_all => 'no openssl here' if system 'openssl version >/dev/null 2>&1';

my $port = AgentsTest::free_port();
my $tls = AgentsTest::free_port();
my $postgres = AgentsTest::Postgres->new;
my $dir = $postgres->{dir};
my $data = "$dir/data";

certificate("$data/server");
certificate("$dir/other");
my ($name) = $postgres->database =~ /dbname=(\S+)/;
$postgres->stop;
chown((getpwnam $postgres->{user})[2, 3], "$data/server.crt",
      "$data/server.key") if $> == 0;
$postgres->{options} = "-c listen_addresses=127.0.0.1 -c port=$port -c ssl=on";
$postgres->start;

for my $ca ("$data/server.crt", "$dir/other.crt") {
    File::Copy::copy($ca, "$dir/ca.crt") or die "copy: $!\n";
    my $spec = "postgres:host=127.0.0.1 port=$port user=postgres dbname=$name"
               . " sslmode=verify-full sslrootcert=$dir/ca.crt";
    my $t = AgentsTest->new(store => $spec, workers => 1, wait => 0,
                            http => <<"CONF");
    server {
        listen 127.0.0.1:$tls ssl;
        ssl_certificate $dir/other.crt;
        ssl_certificate_key $dir/other.key;
        return 204;
    }
CONF
    if ($ca =~ /server/) {
        $t->ctl('migrate');
        $t->start->ready;
        is $t->flow('hello')->{final_text}, 'echo: hello', 'a run, by TLS';
        $t->clean;
        next;
    }

    # it is tried again and again
    $t->start;
    $t->wait_for(10, sub { $t->log =~ /certificate verify failed/ });
    my $asked = 0;
    for (1 .. 10) {
        my $got = qx(curl -sk -o /dev/null -w '%{http_code}' \\
                     https://127.0.0.1:$tls/);
        $asked++ if $got eq '204';
        select undef, undef, undef, 0.1;
    }
    is $asked, 10, 'TLS of nginx works on';
    is $t->get('/agents/models', token => 'x')->{status}, 503, 'the store is away';
    $t->allow(qr/agents store: PostgreSQL|store-unavailable/);
    $t->clean;
}

done_testing;


sub certificate {
    my ($path) = @_;
    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=pg"
           . " -keyout $path.key -out $path.crt"
           . ' -addext subjectAltName=IP:127.0.0.1 2>/dev/null') == 0
        or die "no certificate\n";
    return;
}
