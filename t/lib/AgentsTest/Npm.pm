package AgentsTest::Npm;

# Servers and tools from npm, for tests against what others have written.  A
# package is installed below the build directory the first time that a test asks
# for it.
#
#     my $dir = AgentsTest::Npm::package('@scope/name', '1.2.3');
#     plan skip_all => AgentsTest::Npm::why() unless defined $dir;
#     my $server = AgentsTest::Npm->node($port, { ENV => 'x' },
#                                        "$dir/dist/index.js", @arguments);
#     my $other = AgentsTest::Npm->begin(...);       # the same, without waiting
#     $other->listens;
#
# Whatever the program says, it listens on 127.0.0.1 alone.  It ends with the
# object.

use strict;
use warnings;
use Fcntl qw(:flock);
use File::Path ();
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);
use AgentsTest ();

my $NODE = 'node@22';
my $why = '';


sub why { return $why }


# The installed package's folder, or nothing where npm cannot get it.
sub package {
    my ($name, $version) = @_;
    my $modules = packages($name => $version);
    return defined $modules ? "$modules/$name" : ();
}


# The folder in which all of these are, by name and version, or nothing.
sub packages {
    my (%wanted) = @_;
    my $top = AgentsTest::build_dir() . '/npm';
    my $modules = "$top/node_modules";
    my $missing = sub {
        grep { !is_version("$modules/$_", $wanted{$_}) } sort keys %wanted;
    };
    File::Path::make_path($top);

    # tests that run side by side install one after the other
    open my $lock, '>', "$top/.lock" or die "$top/.lock: $!\n";
    flock $lock, LOCK_EX;
    return $modules unless $missing->();

    for my $command (qw(node npm)) {
        next if system("command -v $command >/dev/null 2>&1") == 0;
        $why = "$command is not installed";
        return;
    }
    install($top, map({ "$_\@$wanted{$_}" } sort keys %wanted),
            old_node() ? $NODE : ());
    return $modules unless $missing->();
    $why = join ' ', 'npm could not install', $missing->();
    return;
}


sub install {
    my ($top, @packages) = @_;
    return system('npm', 'install', '--prefix', $top, '--no-audit',
                  '--no-fund', '--loglevel=error', @packages);
}


# Debian 12 has node 18; the servers want more, and npm has it as a package.
sub old_node {
    my ($major) = (`node --version` || '') =~ /^v(\d+)/;
    return !defined $major || $major < 20;
}


sub node_binary {
    my $own = AgentsTest::build_dir() . '/npm/node_modules/node/bin/node';
    return -x $own ? $own : 'node';
}


sub is_version {
    my ($dir, $version) = @_;
    return AgentsTest::slurp("$dir/package.json")
           =~ /"version"\s*:\s*"\Q$version\E"/;
}


# Starts a server and waits until it listens.
sub node {
    my ($class, @args) = @_;
    return $class->begin(@args)->listens;
}


sub begin {
    my ($class, $port, $env, @program) = @_;
    my $loopback = 'import net from "node:net";'
        . 'const listen = net.Server.prototype.listen;'
        . 'net.Server.prototype.listen = function (port, ...rest) {'
        . ' return listen.call(this, port, "127.0.0.1", ...rest); };';
    my @command = (node_binary(), '--import', "data:text/javascript,$loopback",
                   @program);
    my $self = bless { port => $port, owner => $$, program => "@program" },
               $class;
    my $log = AgentsTest::build_dir() . "/npm/$port.log";
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $log;
        open STDERR, '>&', \*STDOUT;
        local @ENV{keys %$env} = values %$env;
        exec @command;
        exit 127;
    }
    @$self{qw(pid log)} = ($pid, $log);
    return $self;
}


sub listens {
    my ($self) = @_;
    my $end = time + 60;
    while (time < $end) {
        return $self if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $self->{port}, Proto => 'tcp', Timeout => 1);
        last if waitpid($self->{pid}, WNOHANG) == $self->{pid};
        sleep 0.05;
    }
    die "$self->{program} does not listen:\n",
        AgentsTest::slurp($self->{log});
}


sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$ && $self->{pid};
    local $?;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    unlink $self->{log};
    return;
}


1;
