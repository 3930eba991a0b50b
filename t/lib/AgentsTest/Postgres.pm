package AgentsTest::Postgres;

# A private PostgreSQL cluster in a temp folder, on a unix socket only.
#
#     my $pg = AgentsTest::Postgres->shared;   # one per prove, see below
#     my $store = $pg->database;               # "postgres:host=... dbname=..."
#     $pg->psql($dbname, 'SELECT 1');          # text of one column, or rows
#     $pg->stop; $pg->start;                   # a database that goes and comes
#
#     my $standby = AgentsTest::Postgres->new(from => $pg);   # streams from it
#     $standby->promote;
#
# new() also takes options => '-c work_mem=1MB', for the server.
#
# util/test.pl starts one cluster for all tests; AGENTS_TEST_POSTGRES has its
# conninfo.  A test that is run by itself starts its own, and so does one that
# wants to stop it (AgentsTest::Postgres->new).  A cluster goes with the object
# that started it.
#
# The server refuses to run as root: then it is made to run as "postgres", or
# "nobody" where that user is missing.

use strict;
use warnings;
use File::Path ();
use File::Temp ();

my $counter = 0;


sub available {
    return defined bin_dir();
}


sub bin_dir {
    my @dirs = sort { ($b =~ m{/(\d+)/bin$})[0] <=> ($a =~ m{/(\d+)/bin$})[0] }
               grep { -x "$_/initdb" } glob '/usr/lib/postgresql/*/bin';
    return $dirs[0] if @dirs;

    for (split /:/, $ENV{PATH}) {
        return $_ if -x "$_/initdb";
    }
    return;
}


sub shared {
    my ($class) = @_;
    my ($dir) = ($ENV{AGENTS_TEST_POSTGRES} || '') =~ /\bhost=(\S+)/
        or return $class->new;
    my ($user, @as) = run_as();
    return bless { dir => $dir, user => $user, as => \@as,
                   bin => bin_dir(), owner => 0 }, $class;
}


sub new {
    my ($class, %o) = @_;
    my $bin = bin_dir() or die "PostgreSQL is not installed\n";
    my ($user, @as) = run_as();
    my $dir = File::Temp::tempdir('agents-pg-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, user => $user, as => \@as, bin => $bin,
                       owner => $$, options => $o{options} || '' }, $class;

    if (@as) {
        my ($uid, $gid) = (getpwnam $user)[2, 3];
        chown $uid, $gid, $dir or die "chown $dir: $!\n";
    }

    # durability is not what these tests are about
    if ($o{from}) {
        $self->run('pg_basebackup', '-D', "$dir/data", '-h', $o{from}{dir},
                   '-U', 'postgres', '-R', '-X', 'stream', '-c', 'fast',
                   '--no-sync');
    } else {
        $self->run('initdb', '-D', "$dir/data", '-A', 'trust', '-U', 'postgres',
                   '-E', 'UTF8', '--no-locale', '--no-sync');
    }
    $self->start;
    return $self;
}


# A standby becomes a server of its own.
sub promote {
    my ($self) = @_;
    $self->run('pg_ctl', '-D', "$self->{dir}/data", '-w', 'promote');
    return;
}


sub run_as {
    return ('postgres') if $> != 0;
    my $user = getpwnam('postgres') ? 'postgres' : 'nobody';
    return ($user, 'runuser', '-u', $user, '--');
}


sub run {
    my ($self, $program, @args) = @_;
    my $log = "$self->{dir}.log";
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        chdir '/';
        exec @{$self->{as}}, "$self->{bin}/$program", @args;
        exit 127;
    }

    waitpid $pid, 0;
    return if $? == 0;

    open my $in, '<', $log;
    die "$program failed:\n", $in ? <$in> : '';
}


sub start {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $options = "-c listen_addresses='' -c unix_socket_directories=$dir"
                  . ' -c fsync=off -c max_connections=200'
                  . " -c log_min_messages=fatal $self->{options}";
    $self->run('pg_ctl', '-D', "$dir/data", '-l', "$dir/server.log", '-w',
               '-t', 60, '-o', $options, 'start');
    $self->{running} = 1;
    return;
}


sub stop {
    my ($self) = @_;
    return unless delete $self->{running};
    $self->run('pg_ctl', '-D', "$self->{dir}/data", '-w', '-m', 'immediate',
               'stop');
    return;
}


# The conninfo of a database of this cluster.
sub conninfo {
    my ($self, $dbname) = @_;
    return "host=$self->{dir} user=postgres dbname=$dbname";
}


# Makes an empty database and gives its spec for agents_store and --store.
sub database {
    my ($self) = @_;
    my $name = join '_', 't', $$, ++$counter;
    $self->psql('postgres', "CREATE DATABASE $name");
    return 'postgres:' . $self->conninfo($name);
}


# Runs SQL and gives the rows, unaligned, one a line, columns split by "|".
sub psql {
    my ($self, $database, $sql) = @_;
    $database =~ s/.*dbname=//;
    open my $out, '-|', "$self->{bin}/psql", '-XAtq', '-v', 'ON_ERROR_STOP=1',
        '-h', $self->{dir}, '-U', 'postgres', '-d', $database, '-c', $sql
        or die "psql: $!\n";
    my @rows = <$out>;
    close $out or die "psql failed: $sql\n";
    chomp @rows;
    return wantarray ? @rows : join "\n", @rows;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    return unless $self->{owner} == $$;
    eval { $self->stop };
    File::Path::remove_tree($self->{dir}, { safe => 0 });
    unlink "$self->{dir}.log";
    return;
}


1;
