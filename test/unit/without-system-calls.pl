# perl without-system-calls.pl NUMBER,NUMBER PROGRAM ...: runs the program where those system calls are not permitted.
use strict;
use warnings;

my $prctl = 157;
my @numbers = split /,/, shift @ARGV;
my $program = pack 'SCCL', 0x20, 0, 0, 0;    # the call's number
for my $at (0 .. $#numbers) {
    $program .= pack 'SCCL', 0x15, $#numbers - $at + 1, 0, $numbers[$at];    # is it this one?
}
$program .= pack 'SCCL', 0x06, 0, 0, 0x7fff0000;    # SECCOMP_RET_ALLOW
$program .= pack 'SCCL', 0x06, 0, 0, 0x00050001;    # SECCOMP_RET_ERRNO, EPERM
my $filter = pack 'Sx6P', @numbers + 3, $program;
syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no new privileges: $!";
syscall($prctl, 22, 2, $filter) == 0 or die "a filter: $!";
exec @ARGV or die "$ARGV[0]: $!";
