/** Whether a text is five fields of numbers within their limits. */
export function isNumericCron(text: string): boolean {
  const limits = [
    [0, 59],
    [0, 23],
    [1, 31],
    [1, 12],
    [0, 6],
  ] as const;
  const fields = text.split(" ");
  return (
    fields.length === limits.length &&
    fields.every((field, index) => {
      const [low, high] = limits[index] as (typeof limits)[number];
      return field
        .split(",")
        .every(
          (part) =>
            part === "*" ||
            (/^\d+$/.test(part) && Number(part) >= low && Number(part) <= high),
        );
    })
  );
}
