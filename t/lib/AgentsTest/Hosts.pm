package AgentsTest::Hosts;

# A name server on 127.0.0.1, in a child process, whose answers the test changes
# as it goes; AgentsTest::Dns has one of more kinds of records.
#
#     my $dns = AgentsTest::Hosts->new;
#     $dns->set('model.test' => [ '127.0.0.1' ], ttl => 1);
#     $dns->set('model.test' => undef);              # no such name
#     ... "resolver 127.0.0.1:" . $dns->port . " ipv6=off;"
#     $dns->asked('model.test')                      # how often
#
# It knows A records; whatever else it is asked has none.

use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET;


sub new {
    my ($class) = @_;
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Proto => 'udp') or die "no UDP port: $!\n";
    my $self = bless { port => $socket->sockport, owner => $$,
                       dir => File::Temp->newdir }, $class;

    $self->{pid} = fork;
    die "fork: $!\n" unless defined $self->{pid};
    return $self if $self->{pid};

    $SIG{TERM} = 'DEFAULT';
    serve($socket, "$self->{dir}") while 1;
}


sub port { return $_[0]{port} }


# The child reads the file at each question.
sub set {
    my ($self, $name, $addresses, %o) = @_;
    my $path = "$self->{dir}/$name";
    if (!$addresses) {
        unlink $path;
        return;
    }
    open my $out, '>', "$path.new" or die "$path: $!\n";
    print $out join ' ', $o{ttl} || 1, @$addresses;
    close $out or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
    return;
}


sub asked {
    my ($self, $name) = @_;
    return -s "$self->{dir}/$name.asked" || 0;
}


sub serve {
    my ($socket, $dir) = @_;
    my $peer = $socket->recv(my $query, 512);
    return unless defined $peer && length $query > 16;

    my ($id, $flags) = unpack 'nn', $query;
    my ($at, @labels) = (12);
    while (my $len = ord substr $query, $at, 1) {
        push @labels, substr $query, $at + 1, $len;
        $at += 1 + $len;
    }
    my $name = lc join '.', @labels;
    my $question = substr $query, 12, $at + 5 - 12;
    my $type = unpack 'n', substr $query, $at + 1, 2;

    open my $count, '>>', "$dir/$name.asked";
    print $count '.';
    close $count;

    my ($ttl, @addresses);
    if (open my $in, '<', "$dir/$name") {
        ($ttl, @addresses) = split / /, <$in>;
    }
    my $code = @addresses ? 0 : 3;
    @addresses = () if $type != 1;

    $socket->send(pack('nnnnnn', $id, 0x8180 | $code, 1, scalar @addresses,
                       0, 0) . $question
        . join('', map { pack 'nnnNna4', 0xc00c, 1, 1, $ttl, 4,
                         pack 'C4', split /\./ } @addresses), 0, $peer);
    return;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    return unless $self->{owner} == $$ && $self->{pid};
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}


1;
