package AgentsTest::Bouncer;

# A private PgBouncer, on a unix socket only.
#
#     my $bouncer = AgentsTest::Bouncer->new($postgres, $spec, $ini);
#     "host=$bouncer->{dir} user=postgres dbname=agents"
#
# The ini is an example of this project's, whose database "agents" becomes that
# of the spec; addresses and authentication are the test's.

use strict;
use warnings;
use File::Path ();
use File::Temp ();
use Time::HiRes qw(sleep time);
use AgentsTest::Postgres;


sub binary {
    my ($path) = grep { -x } map { "$_/pgbouncer" }
                 split(/:/, $ENV{PATH}), '/usr/sbin';
    return $path;
}


sub available { return defined binary() }


sub new {
    my ($class, $postgres, $spec, $file) = @_;
    my $dir = File::Temp::tempdir('agents-pgb-XXXXXX', TMPDIR => 1);
    my ($user, @as) = AgentsTest::Postgres::run_as();
    my $self = bless { dir => $dir, owner => $$ }, $class;
    my ($name) = $spec =~ /dbname=(\S+)/;

    open my $in, '<', $file or die "$file: $!\n";
    my $ini = do { local $/; <$in> };
    $ini =~ s/^agents = .*/agents = host=$postgres->{dir} dbname=$name/m
        or die "$file: no database\n";
    $ini =~ s/^(?:listen_addr|auth_type|auth_file) .*\n//mg;
    $ini .= "listen_addr =\nunix_socket_dir = $dir\nauth_type = any\n"
          . "logfile = $dir/log\npidfile = $dir/pid\n";
    $ini =~ s/^listen_port = .*/listen_port = 5432/m;
    # "any" asks for the user with the database
    $ini =~ s/^(agents = .*)/$1 user=postgres/m;
    open my $out, '>', "$dir/ini" or die "ini: $!\n";
    print $out $ini;
    close $out or die "ini: $!\n";

    if (@as) {
        my ($uid, $gid) = (getpwnam $user)[2, 3];
        chown $uid, $gid, $dir, "$dir/ini" or die "chown $dir: $!\n";
    }
    system(@as, binary(), '-q', '-d', "$dir/ini") == 0
        or die "pgbouncer did not start: ", $self->log;
    my $end = time + 10;
    sleep 0.02 while !-S "$dir/.s.PGSQL.5432" && time < $end;
    chmod 0755, $dir;
    return $self;
}


sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}


sub log { return slurp("$_[0]{dir}/log") }


sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    return unless $self->{owner} == $$;
    my ($pid) = slurp("$self->{dir}/pid") =~ /(\d+)/;
    kill 'KILL', $pid if $pid;
    File::Path::remove_tree($self->{dir}, { safe => 0 });
    return;
}


1;
