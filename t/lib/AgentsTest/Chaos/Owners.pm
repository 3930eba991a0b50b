package AgentsTest::Chaos::Owners;

# Who had which run, and when: triggers in the test's store write down each
# change of a run's owner and each worker's first lease, by the store's clock,
# which is this machine's.  A process that does nothing but sleep and write a
# byte tells when the machine itself stood still.
#
#     my $owners = AgentsTest::Chaos::Owners->new($t, lease => 3);
#     $owners->gone($pid);
#     $owners->back($pid);
#     $owners->retired($pid);
#     $owners->weak($pid, $since);
#     $owners->store_away($since);
#     my $times = $owners->times(@nodes);
#
# times() has, in seconds, of all that happened so far:
#
#     takeovers     from a worker's death, or stop, to the claim by another
#     handovers     from the moment that a worker gave a run up to the claim
#     late, slow    of these, those beyond their bound: see bound()
#     unwitnessed   beyond their bound at a time when no worker lived for long
#                   enough, or, of handovers, when any was killed or stopped
#     lost          runs taken off a worker that nothing was done to
#     halted        the longest time that the machine stood still

use strict;
use warnings;
use Fcntl qw(SEEK_SET);
use IO::Handle;
use List::Util qw(max sum0);
use POSIX ();
use Time::HiRes qw(sleep time);

my $HANDOVER = 1;       # seconds
my $FOREVER = 1e12;

my %TRIGGERS = (sqlite => <<'SQL', postgres => <<'SQL');
CREATE TABLE chaos_owners (at, run, old, new, given_up);
CREATE TABLE chaos_workers (at, worker, born);
CREATE TRIGGER chaos_owner AFTER UPDATE OF owner ON agents_runs
WHEN OLD.owner IS NOT NEW.owner AND NEW.finished_at IS NULL BEGIN
    INSERT INTO chaos_owners VALUES (
        (julianday('now') - 2440587.5) * 86400, NEW.id, OLD.owner, NEW.owner,
        NEW.takeovers < OLD.takeovers);
END;
CREATE TRIGGER chaos_born AFTER INSERT ON agents_workers BEGIN
    INSERT INTO chaos_workers VALUES (
        (julianday('now') - 2440587.5) * 86400, NEW.id, 1);
END;
CREATE TRIGGER chaos_left AFTER DELETE ON agents_workers BEGIN
    INSERT INTO chaos_workers VALUES (
        (julianday('now') - 2440587.5) * 86400, OLD.id, 0);
END;
SQL
CREATE TABLE chaos_owners (at float8, run text, old text, new text,
                           given_up int);
CREATE TABLE chaos_workers (at float8, worker text, born int);
CREATE FUNCTION chaos_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_owners VALUES (
        extract(epoch from clock_timestamp()), NEW.id, OLD.owner, NEW.owner,
        (NEW.takeovers < OLD.takeovers)::int);
    RETURN NULL;
END $$;
CREATE FUNCTION chaos_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_workers VALUES (
        extract(epoch from clock_timestamp()),
        CASE TG_OP WHEN 'INSERT' THEN NEW.id ELSE OLD.id END,
        (TG_OP = 'INSERT')::int);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_owner AFTER UPDATE OF owner ON agents_runs FOR EACH ROW
WHEN (OLD.owner IS DISTINCT FROM NEW.owner AND NEW.finished_at IS NULL)
EXECUTE FUNCTION chaos_owner();
CREATE TRIGGER chaos_worker AFTER INSERT OR DELETE ON agents_workers
FOR EACH ROW EXECUTE FUNCTION chaos_worker();
SQL


sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { t => $t, away => {}, weak => {}, store_away => [],
                       %o }, $class;
    $t->sql($TRIGGERS{$t->{postgres} ? 'postgres' : 'sqlite'});
    $self->watch;
    return $self;
}


# Killed, or stopped, just now.
sub gone {
    my ($self, $pid) = @_;
    push @{$self->{away}{$pid}}, [ time, $FOREVER ];
    return;
}


# A stopped one goes on.
sub back {
    my ($self, $pid) = @_;
    my $away = $self->{away}{$pid} || [];
    $away->[-1][1] = time if @$away && $away->[-1][1] == $FOREVER;
    return;
}


# Told to exit: it takes nothing over any more.
sub retired {
    my ($self, $pid) = @_;
    $self->{retired}{$pid} ||= time;
    return;
}


# It could hardly do its work since then.
sub weak {
    my ($self, $pid, $since) = @_;
    push @{$self->{weak}{$pid}}, [ $since, time ];
    return;
}


# The store was away since then, or all its connections were.
sub store_away {
    my ($self, $since) = @_;
    push @{$self->{store_away}}, [ $since, time ];
    return;
}


# ---- whether the machine stands still ----

sub watch {
    my ($self) = @_;
    my $path = $self->{t}->prefix . '/halts';
    my $parent = $$;
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open my $out, '>', $path or POSIX::_exit(1);
        open my $file, '>', "$path.sync" or POSIX::_exit(1);
        while (getppid == $parent) {
            my $began = time;
            sleep 0.05;
            seek $file, 0, SEEK_SET;
            syswrite $file, 'x';
            $file->sync;
            my $late = time - $began - 0.05;
            syswrite $out, sprintf "%.3f %.3f\n", $began, $late
                if $late > 0.1;
        }
        POSIX::_exit(0);
    }
    @$self{qw(watch halts)} = ($pid, $path);
    return;
}


sub stop {
    my ($self) = @_;
    my $pid = delete $self->{watch} or return;
    local $?;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY { return $_[0]->stop }


# How long it stood still between two moments: all together, and at the longest.
sub halted {
    my ($self, $from, $to) = @_;
    my @late = map { my ($at, $late) = split ' ';
                     $at <= $to && $at + $late >= $from ? $late : () }
               split /\n/, AgentsTest::slurp($self->{halts});
    return (sum0(@late), max(0, @late));
}


# ---- what came of it ----

# Worker's ids and pids, from the line that each logs at its start.
sub pids {
    my (@nodes) = @_;
    return map { reverse $_->log =~ /(\d+)#\d+: agents worker ([-0-9a-f]{36})/g
               } @nodes;
}


sub times {
    my ($self, @nodes) = @_;
    my %pid = pids(@nodes);
    my %times = (takeovers => [], handovers => [], late => [], slow => [],
                 unwitnessed => 0, lost => 0);
    my %left;       # of a run: when it lost its owner, which one, how

    for ($self->{t}->sql('SELECT at, worker, born FROM chaos_workers')) {
        my ($at, $worker, $born) = split /\|/;
        $self->{$born ? 'born' : 'left'}{$pid{$worker} || 0} = $at;
    }
    for ($self->{t}->sql('SELECT lease_until / 1000.0, id'
                         . ' FROM agents_workers'))
    {
        my ($until, $worker) = split /\|/;
        $self->{renewed}{$pid{$worker} || 0} = $until - $self->{lease};
    }

    for ($self->{t}->sql("SELECT at, run, COALESCE(old, ''),"
            . " COALESCE(new, ''), given_up FROM chaos_owners ORDER BY at"))
    {
        my ($at, $run, $old, $new, $given) = split /\|/;
        if ($new eq '') {
            $left{$run} = [ $at, $pid{$old} || 0, $given ];
        } elsif (my $was = delete $left{$run}) {
            $self->claimed(\%times, $at, @$was);
        }
    }
    $times{halted} = ($self->halted(0, time))[1];
    return \%times;
}


sub claimed {
    my ($self, $times, $at, $left, $pid, $given) = @_;

    my ($gone) = map { $_->[0] }
                 grep { $_->[0] <= $left && $_->[1] + 1 >= $left }
                 reverse @{$self->{away}{$pid} || []};

    if ($given && !$gone) {
        my $took = $at - $left;
        push @{$times->{handovers}}, $took;
        return if $took < $self->bound($HANDOVER, $left, $at);
        return $times->{unwitnessed}++ if $self->disturbed($left, $at);
        push @{$times->{slow}}, sprintf '%.2f s', $took;
        return;
    }

    return $times->{lost}++ unless $gone;

    my $took = $at - $gone;
    push @{$times->{takeovers}}, $took;
    my $bound = $self->bound($self->{lease} + 5, $gone, $at);
    return if $took < $bound;
    return $times->{unwitnessed}++ unless $self->witness($gone, $bound);
    push @{$times->{late}}, sprintf '%.2f s, of which %.2f until the owner was'
        . ' taken off; the bound is %.2f s', $took, $left - $gone, $bound;
    return;
}


# What a time is held to: what was promised, and as long as the machine stood
# still meanwhile, or the store was away.  If either made a renewal late, then
# workers have waited for six seconds more, as they are to.
sub bound {
    my ($self, $seconds, $from, $to) = @_;
    my ($halted, $longest) = $self->halted($from, $to);
    my @away = map { $_->[1] - $_->[0] }
               grep { $_->[0] <= $to && $_->[1] + 1 >= $from }
               @{$self->{store_away}};
    return $seconds + $halted + sum0(@away)
           + (@away || $longest > $self->{lease} / 3 ? 6 : 0);
}


# Whether any worker was killed, or stood still, meanwhile, who may have been
# the one to claim, or have had the lock of SQLite.
sub disturbed {
    my ($self, $from, $to) = @_;
    return scalar grep {
        $_->[0] < $to && ($_->[1] == $FOREVER ? $_->[0] : $_->[1]) > $from - 1
    } map { @$_ } values %{$self->{away}}, values %{$self->{weak}};
}


# Whether some worker lived, and ran, all through so many seconds.
sub witness {
    my ($self, $from, $seconds) = @_;
    my $to = $from + $seconds;

    for my $pid (keys %{$self->{born}}) {
        my $end = $self->{left}{$pid} || ($self->{renewed}{$pid} || 0) + 1.5;
        next if $self->{born}{$pid} > $from || $end < $to
                || ($self->{retired}{$pid} || $FOREVER) < $to;
        return 1 unless grep { $_->[0] < $to && $_->[1] > $from }
                        map { @{$_ || []} }
                        @{$self->{away}}{$pid}, @{$self->{weak}}{$pid};
    }
    return 0;
}


1;
