package AgentsTest::Workers;

# Which worker a request goes to.
#
#     my $t = AgentsTest->new(AgentsTest::Workers::conf(), workers => 2)->start;
#     my $via = AgentsTest::Workers->new($t);
#     my ($one, $two) = $via->pids;
#     $via->to($one, sub { $t->run($conversation, 'hello') });
#     $via->to($two, sub { $t->get('/agents/runs/ID') });
#     my $answer = $via->raw($two, request_bytes($t, 'GET', $path));
#     my $socket = $via->socket($two);
#
# Each worker has its own listening socket (reuseport) and says its pid in a
# header; one connection to each is kept open.

use strict;
use warnings;
use AgentsTest::Burst;
use HTTP::Tiny;
use Time::HiRes qw(sleep);


sub conf {
    return (location => 'add_header X-Worker $pid always;',
            replace => { 'listen 127.0.0.1:%PORT%;' =>
                         'listen 127.0.0.1:%PORT% reuseport;' });
}


sub new {
    my ($class, $t) = @_;
    my $self = bless { t => $t, clients => {} }, $class;
    $t->wait_for(10, sub { $t->workers == $t->{workers} })
        or die "not all workers are there\n";

    for (1 .. 200) {
        last if keys %{$self->{clients}} == $t->{workers};
        my $http = HTTP::Tiny->new(timeout => 70, max_redirect => 0);
        my $pid = $http->request('OPTIONS', $t->base . '/agents/conversations')
                       ->{headers}{'x-worker'};
        $self->{clients}{$pid} ||= $http;
        sleep 0.01;
    }
    die "some worker takes no connection\n"
        unless keys %{$self->{clients}} == $t->{workers};
    return $self;
}


sub pids { return sort { $a <=> $b } keys %{$_[0]{clients}} }


sub to {
    my ($self, $pid, $what) = @_;
    local $self->{t}{http_client} = $self->{clients}{$pid};
    return $what->();
}


# A new connection to that worker.
sub socket {
    my ($self, $pid) = @_;
    my $probe = "OPTIONS /agents/conversations HTTP/1.1\r\nHost: x\r\n\r\n";

    for (1 .. 200) {
        my ($socket, $head) = ($self->{t}->socket, '');
        syswrite $socket, $probe;
        while ($head !~ /\r\n\r\n/) {
            sysread $socket, $head, 4096, length $head or last;
        }
        return $socket if $head =~ /^x-worker: $pid\r$/mi;
    }
    die "no connection to $pid\n";
}


# Sends the bytes of one request, which is to close the connection, on a new
# connection to that worker; the answer as burst() gives it.
sub raw {
    my ($self, $pid, $bytes) = @_;
    my ($socket, $text) = ($self->socket($pid), '');
    syswrite $socket, $bytes;
    1 while sysread $socket, $text, 65536, length $text;
    return AgentsTest::Burst::answer($text);
}


1;
