package AgentsTest::Cut;

# A way to PostgreSQL that breaks in the middle of a commit.
#
#     my $cut = AgentsTest::Cut->new($postgres);
#     my $store = $cut->store($spec);     # the same database, by way of it
#     $cut->arm(done => 'INSERT INTO agents_runs');
#     ...                                 # what makes nginx send that
#     $cut->count                         # how often it has broken since arm()
#
# It takes connections on a unix socket and looks at what nginx sends.  The
# first batch that has the text is cut off where its Sync would go: with "done"
# the server gets it, and its answer is thrown away; with "lost" it does not get
# the Sync, and so rolls back.  nginx can not tell one from the other: its
# connection just ends.  The text is that of the statement, so nginx has to send
# statements as they are (prepare=off).

use strict;
use warnings;
use File::Path ();
use File::Temp ();
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

my $NAME = '.s.PGSQL.5432';


sub new {
    my ($class, $postgres) = @_;
    my $dir = File::Temp::tempdir('agents-cut-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, to => "$postgres->{dir}/$NAME",
                       owner => $$ }, $class;
    my $listen = IO::Socket::UNIX->new(Local => "$dir/$NAME", Listen => 128)
        or die "$dir/$NAME: $!\n";
    chmod 0755, $dir;

    $self->{pid} = fork;
    die "fork: $!\n" unless defined $self->{pid};
    if ($self->{pid} == 0) {
        $SIG{PIPE} = 'IGNORE';
        eval { $self->serve($listen) };
        print STDERR "AgentsTest::Cut: $@" if $@;
        require POSIX;
        POSIX::_exit(0);
    }
    close $listen;
    return $self;
}


sub store {
    my ($self, $spec) = @_;
    $spec =~ s/host=\S+/host=$self->{dir}/ or die "no host: $spec\n";
    return $spec;
}


# From here on; what was armed before and has not broken is forgotten.
sub arm {
    my ($self, $mode, $text) = @_;
    unlink "$self->{dir}/count";
    open my $out, '>', "$self->{dir}/armed.new" or die "arm: $!\n";
    print $out "$mode\n$text";
    close $out or die "arm: $!\n";
    rename "$self->{dir}/armed.new", "$self->{dir}/armed" or die "arm: $!\n";
    return;
}


sub count { return -s "$_[0]{dir}/count" || 0 }


# ---- the child ----

sub serve {
    my ($self, $listen) = @_;
    my $select = IO::Select->new($listen);
    my %pair;           # by descriptor

    while (1) {
        for my $socket ($select->can_read) {
            if ($socket == $listen) {
                my $client = $listen->accept or next;
                my $server = IO::Socket::UNIX->new(Peer => $self->{to})
                    or next;
                my $pair = { client => $client, server => $server, in => '',
                             out => '' };
                $pair{fileno $_} = $pair for $client, $server;
                $select->add($client, $server);
                next;
            }
            # its other side may just have been closed
            my $pair = $pair{fileno($socket) // ''} or next;
            next if $self->pass($pair, $socket);
            for (qw(client server)) {
                $select->remove($pair->{$_});
                delete $pair{fileno $pair->{$_}};
            }
            close $pair->{$_} for qw(client server);
        }
    }
    return;
}


# One side's bytes go to the other; false: both are to be closed.
sub pass {
    my ($self, $pair, $socket) = @_;
    my $n = sysread $socket, my $bytes, 65536;
    return 0 unless $n;

    if ($socket == $pair->{server}) {
        return whole($pair->{client}, $bytes) unless $pair->{mute};
        # once it is ready for the next one, it has committed
        $pair->{out} .= $bytes;
        return $pair->{out} !~ /Z\0\0\0\x05[ITE]\z/;
    }
    $pair->{in} .= $bytes;

    # what is before the first Sync that is here, and it
    while (my $end = batch($pair)) {
        my $batch = substr $pair->{in}, 0, $end, '';
        my $mode = $self->hit($batch);
        if ($mode eq 'lost') {
            whole($pair->{server}, substr $batch, 0, -5);
            return 0;
        }
        $pair->{mute} = 1 if $mode eq 'done';
        whole($pair->{server}, $batch) or return 0;
    }
    return 1;
}


# Where the first batch ends that is here as a whole.  A session begins with
# messages without a type, which are sent on as they come.
sub batch {
    my ($pair) = @_;
    my $at = 0;
    return unless length $pair->{in};
    if (!$pair->{begun}) {
        return if length $pair->{in} < 8;
        my ($len, $code) = unpack 'NN', $pair->{in};
        return if length $pair->{in} < $len;
        $pair->{begun} = $code == 196608;       # no question about encryption
        return $len;
    }
    while (length $pair->{in} >= $at + 5) {
        my ($type, $len) = unpack "x${at}aN", $pair->{in};
        last if length $pair->{in} < $at + 1 + $len;
        $at += 1 + $len;
        return $at if $type eq 'S' || $type eq 'X' || $type eq 'p';
    }
    return;
}


sub hit {
    my ($self, $batch) = @_;
    open my $in, '<', "$self->{dir}/armed" or return '';
    my ($mode, $text) = do { local $/; split /\n/, <$in>, 2 };
    return '' if index($batch, $text) < 0;
    unlink "$self->{dir}/armed" or return '';
    open my $out, '>>', "$self->{dir}/count" or die "count: $!\n";
    print $out 'x';
    close $out;
    return $mode;
}


sub whole {
    my ($socket, $bytes) = @_;
    while (length $bytes) {
        my $n = syswrite $socket, $bytes;
        return 0 unless $n;
        substr $bytes, 0, $n, '';
    }
    return 1;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    return unless $self->{owner} == $$;
    if ($self->{pid}) {
        kill 'KILL', $self->{pid};
        waitpid $self->{pid}, 0;
    }
    File::Path::remove_tree($self->{dir}, { safe => 0 });
    return;
}


1;
