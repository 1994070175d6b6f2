# shellcheck shell=sh
# The step of a build that shows that steps run: here, and in the containers of Docker hosts.

# The build of one step, as a client sends it (LLB): the program /buildhosts-health on an image that is the folder which
# the client calls buildhosts-health, in a sandbox and a network like every step's. test/unit/boardctl.test.ts says it in words.
STEP=Ch0aGwoZbG9jYWw6Ly9idWlsZGhvc3RzLWhlYWx0aAprCkkKR3NoYTI1Njo4N2Q5NWNmMWY5MzhkMTZkNTE3MTgxYWU1ZGVkNmI0YWMxNjVkYWNhODVmNjE4ZTMwZGNlMDk4OGQyYTA0ZGU5Eh4KFwoSL2J1aWxkaG9zdHMtaGVhbHRoGgEvEgMaAS8KSwpJCkdzaGEyNTY6ZmEyZTgzMWMyNjJmN2EwOTAzY2UxOWMyZDg5MGNhODNmMjEwYzAwNWU0YWVjY2Q5NDA2YmZmODVhYjg1MTVlMA==

# step_program FILE: the smallest program that this machine runs: an ELF header, one segment, and exit(0).
step_program() {
  case $(uname -m) in
    x86_64) machine='\076' code='\270\074\0\0\0\061\377\017\005\0\0\0' ;;
    aarch64) machine='\267' code='\0\0\200\322\250\013\200\322\001\0\0\324' ;;
    riscv64) machine='\363' code='\023\005\0\0\223\010\320\005\163\0\0\0' ;;
    *) return 1 ;;
  esac
  # shellcheck disable=SC2059 # the numbers stand in the format
  {
    printf '\177ELF\002\001\001\0\0\0\0\0\0\0\0\0\002\0'"$machine"'\0\001\0\0\0\170\0\100\0\0\0\0\0\100\0\0\0\0\0\0\0'
    printf '\0\0\0\0\0\0\0\0\0\0\0\0\100\0\070\0\001\0\0\0\0\0\0\0'
    printf '\001\0\0\0\005\0\0\0\0\0\0\0\0\0\0\0\0\0\100\0\0\0\0\0\0\0\100\0\0\0\0\0'
    printf '\204\0\0\0\0\0\0\0\204\0\0\0\0\0\0\0\0\0\001\0\0\0\0\0'"$code"
  } >"$1" && chmod 755 "$1"
}
