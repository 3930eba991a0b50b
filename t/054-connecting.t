# A run that is cancelled while its provider's host has not yet taken the
# connection.  Guards against libcurl's closing of such a socket before it says
# so: nginx then asked the kernel about a descriptor that was not there.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Fcntl qw(F_SETFL O_NONBLOCK);
use IO::Socket::INET;
use Socket qw(PF_INET SOCK_STREAM INADDR_LOOPBACK sockaddr_in);

# no one accepts here, and the line of those who wait is full
my $port = AgentsTest::free_port();
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
    LocalPort => $port, Listen => 1, Proto => 'tcp') or die "listen: $!\n";
my @waiting = map {
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
    fcntl $socket, F_SETFL, O_NONBLOCK or die "fcntl: $!\n";
    connect $socket, sockaddr_in($port, INADDR_LOOPBACK);
    $socket;
} 1 .. 8;

my $t = AgentsTest->new(workers => 1, provider => 'connect_timeout 20s;',
    replace => { 'endpoint http://127.0.0.1:%MOCK%/v1;' =>
                 "endpoint http://127.0.0.1:$port/v1;" })->start;

for (1 .. 3) {
    my $run = $t->run($t->conversation, 'x');
    ok $t->wait_for(5, sub {
        $t->get("/agents/runs/$run->{id}")->{json}{status} eq 'running';
    }), 'a run that connects';
    $t->post("/agents/runs/$run->{id}/cancel");
    is $t->finished($run, 5)->{error}{type}, 'AgentLoopCancelled',
       'is cancelled';
}

$t->clean('no error logged');
done_testing;
