import { describe, expect, test } from "vitest";
import { ConsoleLogin } from "../../../infra/image/bootCheck/login.ts";

const wait = { kind: "wait" };
const name = { kind: "type", text: "root\n" };
const command = { kind: "type", text: "\nsh script\n" };

/** What is done at each moment: the console's unfinished line, and the time. */
function steps(...moments: readonly (readonly [string, number])[]) {
  const login = new ConsoleLogin("sh script");
  return moments.map(([line, seconds]) => login.step(line, seconds));
}

describe("the login on a console", () => {
  test("types nothing before it is asked", () => {
    expect(
      steps(["", 1], ["[  OK  ] Reached target", 10], ["grub> # ", 100]),
    ).toEqual([wait, wait, wait]);
  });

  test("types root's name, then the command at the shell's prompt", () => {
    expect(
      steps(
        ["debian login: ", 30],
        ["debian login: ", 31],
        ["debian login: root", 31.1],
        ["", 32],
        ["root@debian:~# ", 38],
      ),
    ).toEqual([name, wait, wait, wait, command]);
  });

  test("finds the prompt with a kernel message behind it", () => {
    const line = "root@debian:~# [   40.123456] random: crng init done";
    expect(steps(["debian login: ", 30], [line, 35]).at(-1)).toEqual(command);
  });

  test("types the command blindly when the prompt was lost among messages", () => {
    expect(steps(["debian login: ", 30], ["", 40], ["", 46])).toEqual([
      name,
      wait,
      command,
    ]);
  });

  test("types the command again until the script starts", () => {
    const moments = [
      ["x login: ", 30],
      ["root@x:~# ", 33],
      ["root@x:~# ", 40],
      ["root@x:~# ", 49],
    ] as const;
    expect(steps(...moments)).toEqual([name, command, wait, command]);
  });

  test("answers a login prompt that comes back", () => {
    const moments = [
      ["x login: ", 30],
      ["", 46],
      ["x login: ", 50],
    ] as const;
    expect(steps(...moments)).toEqual([name, command, name]);
  });

  test("answers a prompt again when the name got lost", () => {
    expect(steps(["x login: ", 30], ["x login: ", 46])).toEqual([name, name]);
  });

  test("forgives one question for a password, not two", () => {
    const moments = [
      ["x login: ", 30],
      ["Password: ", 33],
      ["x login: ", 36],
      ["Password: ", 39],
    ] as const;
    expect(steps(...moments)).toEqual([
      name,
      { kind: "type", text: "\n" },
      name,
      {
        kind: "give-up",
        reason: "root cannot log in on the console without a password",
      },
    ]);
  });
});
