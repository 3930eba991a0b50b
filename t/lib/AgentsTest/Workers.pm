package AgentsTest::Workers;

# Which worker a request goes to.
#
#     my $t = AgentsTest->new(AgentsTest::Workers::conf(), workers => 2)->start;
#     my $via = AgentsTest::Workers->new($t);
#     my ($one, $two) = $via->pids;
#     $via->to($one, sub { $t->run($conversation, 'hello') });
#     $via->to($two, sub { $t->get('/agents/runs/ID') });
#
# Each worker has its own listening socket (reuseport) and says its pid in a
# header; one connection to each is kept open.

use strict;
use warnings;
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


1;
