package AgentsTest::Dns;

# A scripted DNS server on 127.0.0.1, over UDP, in a child process.
#
#     my $dns = AgentsTest::Dns->start(
#         'mcp.test'    => [ [ A => '127.0.0.1' ], [ AAAA => '::1' ] ],
#         'alias.test'  => [ [ CNAME => 'mcp.test' ], [ A => '10.0.0.1' ] ],
#         'rebind.test' => [ [ [ A => '127.0.0.1' ] ],
#                            [ [ A => '10.1.2.3' ] ] ],
#     );
#     "resolver " . $dns->address;      # 127.0.0.1:PORT
#     my @seen = $dns->queries;         # 'mcp.test A', ... in order
#     $dns->set('mcp.test' => [ [ A => '127.0.0.2' ] ], ttl => 1);
#     $dns->set('mcp.test' => undef);   # no such name
#
# A name has its records, or a list of such lists: each question of a type
# gets the next one, the last one stays.  A record is given for a question of
# its type, a CNAME for any, with what follows it.  Other names do not exist.
# The time to live is 0, unless it is set: nginx's resolver keeps such an answer
# for the rest of the second.

use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(AF_INET6 inet_aton inet_pton);

my %TYPE = (A => 1, CNAME => 5, AAAA => 28);
my %NAME = reverse %TYPE;
my $JSON = JSON::PP->new->utf8->canonical;


sub start {
    my ($class, %zone) = @_;
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Proto => 'udp') or die "dns: $!\n";
    my $self = bless { port => $socket->sockport, owner => $$,
                       dir => File::Temp->newdir }, $class;
    $self->set($_ => $zone{$_}) for keys %zone;
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{TERM} = $SIG{INT} = sub { POSIX::_exit(0) };
        eval { serve($socket, "$self->{dir}", getppid) };
        print STDERR "scripted DNS: $@" if $@;
        POSIX::_exit(1);
    }
    $self->{pid} = $pid;
    return $self;
}


# The child reads a name's file at each question.
sub set {
    my ($self, $name, $records, %o) = @_;
    my $path = "$self->{dir}/$name";
    if (!$records) {
        unlink $path;
        return;
    }
    open my $out, '>', "$path.new" or die "$path: $!\n";
    print $out $JSON->encode({ ttl => $o{ttl} || 0, records => $records });
    close $out or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
    return;
}


sub address { return "127.0.0.1:$_[0]{port}" }


sub queries {
    my ($self) = @_;
    open my $in, '<', "$self->{dir}/=queries" or return;
    chomp(my @lines = <$in>);
    return @lines;
}


sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$ && $self->{pid};
    local $?;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}


sub serve {
    my ($socket, $dir, $parent) = @_;
    my %asked;
    open my $out, '>>', "$dir/=queries" or die "$dir: $!\n";
    $out->autoflush(1);

    while (getppid == $parent) {
        my $rin = '';
        vec($rin, fileno $socket, 1) = 1;
        next unless select($rin, undef, undef, 1) > 0;
        my $from = $socket->recv(my $query, 512);
        next unless defined $from && length $query > 12;
        my ($name, $type, $question) = question($query);
        print $out "$name ", $NAME{$type} || $type, "\n";
        $socket->send(answer(entry($dir, $name), $query, $name, $type,
                             $question, \%asked), 0, $from);
    }
    return;
}


sub entry {
    my ($dir, $name) = @_;
    open my $in, '<', "$dir/$name" or return {};
    local $/;
    return $JSON->decode(<$in>);
}


sub question {
    my ($query) = @_;
    my ($at, @labels) = (12);

    while (my $len = ord substr $query, $at++, 1) {
        push @labels, substr $query, $at, $len;
        $at += $len;
    }
    return (lc join('.', @labels), unpack('n', substr $query, $at, 2),
            substr($query, 12, $at + 4 - 12));
}


sub answer {
    my ($entry, $query, $name, $type, $question, $asked) = @_;
    my $records = $entry->{records};

    # 3: there is no such name
    return pack('a2 n5', $query, 0x8183, 1, 0, 0, 0) . $question
        unless $records;

    if (ref $records->[0][0]) {
        my $n = $asked->{"$name $type"}++;
        $records = $records->[$n < $#$records ? $n : $#$records];
    }
    my ($owner, @said) = (encoded($name));

    for (@$records) {
        my ($kind, $value) = @$_;
        next unless $kind eq 'CNAME' || $TYPE{$kind} == $type;
        my $data = $kind eq 'A' ? inet_aton($value)
                 : $kind eq 'AAAA' ? inet_pton(AF_INET6, $value)
                 : encoded($value);
        push @said, $owner . pack 'n n N n/a*', $TYPE{$kind}, 1,
                              $entry->{ttl}, $data;
        $owner = encoded($value) if $kind eq 'CNAME';
    }
    return pack('a2 n5', $query, 0x8180, 1, scalar @said, 0, 0) . $question
           . join '', @said;
}


sub encoded {
    my ($name) = @_;
    return join('', map { pack 'C/a*', $_ } split /\./, $name) . "\0";
}


1;
