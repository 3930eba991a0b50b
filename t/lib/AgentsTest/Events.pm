package AgentsTest::Events;

# A client of GET /agents/runs/{id}/events.
#
#     my $events = AgentsTest::Events->new($t, $run);
#     while (my $event = $events->next) { ... }
#     my @rest = AgentsTest::Events->new($t, $run, last => $id)->all;
#
# An event is {event, id, data, json, at}; a comment is {comment}.  new() takes
#
#     last    => the Last-Event-ID      method => 'HEAD'
#     socket  => a connection to use    headers, user ... as AgentsTest does
#     rcvbuf  => bytes that the kernel keeps for us
#
# next(S) waits for S seconds at most (20); nothing comes back at the end, and
# when the time is over: "ended" then tells whether the stream ended as it
# should.  until($what) gives all up to the first event of that name.  status
# and headers are those of the answer.

use strict;
use warnings;
use IO::Select;
use JSON::PP;
use Time::HiRes qw(time);
use AgentsTest::Burst;
use AgentsTest::Record;

my $json = JSON::PP->new->utf8->allow_nonref;


sub new {
    my ($class, $t, $run, %o) = @_;
    my $id = ref $run ? $run->{id} : $run;
    my ($socket, $last) = (delete $o{socket} || $t->socket, delete $o{last});
    my $method = delete $o{method} || 'GET';
    my $rcvbuf = delete $o{rcvbuf};
    setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), $rcvbuf
        if $rcvbuf;
    $o{headers} = { Accept => 'text/event-stream', %{$o{headers} || {}} };
    $o{headers}{'Last-Event-ID'} = $last if defined $last;

    my $self = bless { socket => $socket, raw => '', text => '', queue => [],
                       whole => '', asked => [ $method,
                       "/agents/runs/$id/events", $o{headers} ] }, $class;
    syswrite $socket, request_bytes($t, $method, "/agents/runs/$id/events",
                                    undef, %o);
    return $self;
}


sub close {
    my ($self) = @_;
    close $self->{socket};
    return;
}


sub status { my ($self) = @_; $self->head; return $self->{status} }
sub headers { my ($self) = @_; $self->head; return $self->{headers} }
sub ended { return $_[0]{ended} ? 1 : 0 }
sub content { return $_[0]{text} }      # of an answer that is no stream


sub head {
    my ($self, $end) = @_;
    $end ||= time + 20;
    while (!defined $self->{status} && $self->more($end)) { }
    return $self->{status};
}


sub more {
    my ($self, $end) = @_;
    return if $self->{over};
    my $left = $end - time;
    return if $left < 0;
    return unless IO::Select->new($self->{socket})->can_read($left);
    my $n = sysread $self->{socket}, $self->{raw}, 65536, length $self->{raw};
    if (!$n) {
        $self->{over} = 1;
        return;
    }
    $self->take;
    return 1;
}


sub take {
    my ($self) = @_;
    if (!defined $self->{status}) {
        return unless $self->{raw} =~ s/\A(.*?)\r\n\r\n//s;
        my ($line, @lines) = split /\r\n/, $1;
        ($self->{status}) = $line =~ / (\d+)/;
        $self->{headers} = { map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () }
                             @lines };
        $self->{head_at} = time;
    }
    if (($self->{headers}{'transfer-encoding'} || '') ne 'chunked') {
        $self->{text} .= $self->{raw};
        $self->{raw} = '';
    }
    while ($self->{raw} =~ /\A([0-9a-f]+)\r\n/i) {
        my ($size, $from) = (hex $1, $+[0]);
        last if length $self->{raw} < $from + $size + 2;
        $self->{text} .= substr $self->{raw}, $from, $size;
        $self->{whole} .= substr $self->{raw}, $from, $size;
        substr($self->{raw}, 0, $from + $size + 2) = '';
        $self->record if $size == 0;
    }
    return if $self->{headers}{'content-type'} !~ /event-stream/;

    while ($self->{text} =~ s/\A(.*?)\n\n//s) {
        my %event = (at => time);
        for (split /\n/, $1) {
            my ($name, $value) = /^([a-z]*):? ?(.*)$/;
            if ($name eq '') { $event{comment} = $value }
            elsif ($name eq 'data') { $event{data} .= $value }
            else { $event{$name} = $value }
        }
        $event{json} = eval { $json->decode($event{data}) }
            if defined $event{data};
        push @{$self->{queue}}, \%event;
    }
    return;
}


# It has ended as it should.
sub record {
    my ($self) = @_;
    $self->{ended} = $self->{over} = 1;
    my ($method, $path, $headers) = @{$self->{asked}};
    AgentsTest::Record::exchange($method, $path, $headers, undef,
        { status => $self->{status}, headers => $self->{headers},
          content => $self->{whole} });
    return;
}


sub next {
    my ($self, $seconds) = @_;
    my $end = time + (defined $seconds ? $seconds : 20);
    while (!@{$self->{queue}}) {
        $self->more($end) or last;
    }
    return shift @{$self->{queue}};
}


# To the end, without comments.
sub all {
    my ($self, $seconds) = @_;
    my $end = time + ($seconds || 20);
    my @events;
    while (my $event = $self->next($end - time)) {
        push @events, $event unless defined $event->{comment};
    }
    return @events;
}


sub until {
    my ($self, $what, $seconds) = @_;
    my $end = time + ($seconds || 20);
    my @events;
    while (my $event = $self->next($end - time)) {
        push @events, $event unless defined $event->{comment};
        last if ($event->{event} || '') eq $what;
    }
    return @events;
}


# The texts of deltas, joined, by turn and call ("" is text); what a reset has
# withdrawn is not among them.
sub deltas {
    my (@events) = @_;
    my %told;
    for (@events) {
        my $turn = $_->{json}{turn_index};
        delete $told{$turn} if $_->{event} eq 'reset';
        next unless $_->{event} eq 'delta';
        my $call = $_->{json}{type} eq 'arguments'
                 ? $_->{json}{tool_use_id} : '';
        $told{$turn}{$call} = '' unless defined $told{$turn}{$call};
        $told{$turn}{$call} .= $_->{json}{text};
    }
    return \%told;
}


# The names of events in a line: deltas that follow each other are one.
sub line {
    my (@events) = @_;
    my @names;
    for (@events) {
        my $name = $_->{event} eq 'run' ? "run:$_->{json}{status}"
                 : $_->{event} eq 'end' ? "end:$_->{json}{status}"
                 : $_->{event} =~ /turn|delta|reset/
                 ? "$_->{event}:$_->{json}{turn_index}" : $_->{event};
        push @names, $name
            unless $_->{event} eq 'delta' && @names && $names[-1] eq $name;
    }
    return join ' ', @names;
}


1;
