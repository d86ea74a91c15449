// The sum of two numbers: the smallest program.
//
// A program is a classic script that defines `mainFunction`. It is called with the request's parameters, and what it returns is
// the result.
//
// Parameters: { "a": 2, "b": 3 }    Result: 5

function mainFunction(params) {
  const { a, b } = params ?? {};
  if (!Number.isFinite(a) || !Number.isFinite(b)) {
    throw new TypeError("simple_addition needs { a, b }: two finite numbers");
  }
  return a + b;
}
