import { assertEquals } from "@std/assert";
import { judge, readLcov } from "../../scripts/coverage.ts";

const LCOV = `SF:/home/src/one.ts
BRDA:3,1,0,1
BRDA:3,1,1,0
BRDA:9,2,0,-
DA:3,1
end_of_record
SF:/home/src/two.ts
BRDA:1,1,0,12
end_of_record
`;

Deno.test("coverage: the branches of each file, and the lines of those that no test takes", () => {
  assertEquals(readLcov(LCOV, "/home/"), [
    { path: "src/one.ts", branches: 3, taken: 1, missed: [3, 9] },
    { path: "src/two.ts", branches: 1, taken: 1, missed: [] },
  ]);
});

Deno.test("coverage: the bound is for all files together, but for those that another engine runs", () => {
  const file = (path: string, taken: number) => ({ path, branches: 100, taken, missed: [] });
  const elsewhere = file("src/dashboard/browser/main.ts", 0);
  assertEquals(judge([file("src/a.ts", 100), file("src/b.ts", 96), elsewhere]), {
    isEnough: true,
    lines: ["Branches of src: 196 of 200, 98.00 %, bound 98 %"],
  });
  assertEquals(judge([file("src/a.ts", 100), file("src/b.ts", 95)]).isEnough, false);
});

Deno.test("coverage: nothing measured is not enough", () => {
  assertEquals(judge([]).isEnough, false);
});
