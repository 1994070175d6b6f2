import { describe, expect, test } from "vitest";
import { explainDocker } from "../../commands/lib/explainDocker.ts";

describe("a Docker daemon that cannot be reached is one line:", () => {
  const official = (url: string, error: string) =>
    `failed to create Docker client: Error pinging Docker server, please make sure that ${url} is reachable and has a  '_ping' endpoint. Error: ${error}`;

  test.each([
    // The official plugin's words, of ssh, of Go's net and of Go's TLS.
    [
      official(
        "ssh://root@far",
        "error during connect: command [ssh …] has exited with exit status 255, stderr=Host key verification failed.",
      ),
      /^the Docker daemon at ssh:\/\/root@far cannot be reached: the host showed another key than the stack's hostKey/,
    ],
    [
      official(
        "ssh://me@far",
        "exit status 255, stderr=Can't open user config file .buildhosts/docker/home/far/ssh_config: No such file or directory",
      ),
      /this clone has not yet written the SSH client's files/,
    ],
    [
      official("ssh://me@far", "exit status 255, stderr=me@far: Permission denied (publickey)."),
      /the host refused the SSH key or the user/,
    ],
    [
      official("ssh://me@far", "exit status 127, stderr=bash: docker: command not found"),
      /there is no docker command on the host/,
    ],
    [
      official(
        "unix:///var/run/docker.sock",
        "permission denied while trying to connect to the Docker daemon socket",
      ),
      /the user may not use the daemon's socket/,
    ],
    [
      official("tcp://far:2376", "tls: failed to verify certificate: x509: signed by unknown"),
      /the daemon's certificate and the stack's tls do not match/,
    ],
    [
      official("tcp://far:2376", "dial tcp: lookup far: no such host"),
      /the host's name is not known/,
    ],
    [
      official("tcp://far:2376", "Cannot connect to the Docker daemon: connection refused"),
      /nothing listens there/,
    ],
    [official("tcp://far:2376", "dial tcp: i/o timeout"), /it does not answer in time/],
    [
      "docker native provider returned an unexpected error from Configure: failed to connect to any docker daemon",
      /^the Docker daemon cannot be reached\. Check docker in the stack/,
    ],
    // The stand-in's.
    [
      "docker host unix:///run/docker.sock: cannot be reached: connect ENOENT /run/docker.sock",
      /^the Docker daemon at unix:\/\/\/run\/docker.sock cannot be reached: nothing listens there/,
    ],
    ["docker host tcp://far:2376: no answer within 30 s", /it does not answer in time/],
  ])("%s", (message, line) => {
    expect(explainDocker(message)).toMatch(line);
  });
});

test.each([
  "Unable to read Docker image into resource: unable to pull image r/none:1: error pulling image r/none:1: manifest unknown",
  "image r/none:1: is not on the host and cannot be pulled: manifest unknown",
])("an image that cannot be pulled is named: %s", (message) => {
  expect(explainDocker(message)).toBe(
    "the image r/none:1 is not on the host and cannot be pulled. Check image in the stack, that the host reaches its registry, and for a private image the host's registryAuth",
  );
});

test("a hook's own last line is the explanation", () => {
  expect(
    explainDocker(
      'error hooks execution failed: error hook "b-put-back" failed:   buildkitd: bad\nb: the new container was not healthy; what ran before runs again',
    ),
  ).toBe("b: the new container was not healthy; what ran before runs again");
});

test("an error about something else is left to others", () => {
  expect(explainDocker("after 2 failed attempts: ssh: handshake failed: EOF")).toBeUndefined();
});
