// The area of a circle.
//
// A program is a classic script that defines `mainFunction`. It is called with the request's parameters, and what it returns is
// the result. Math.PI and multiplication give the same bits on every node, so workers agree without a tolerance.
//
// Parameters: { "radius": 2 }    Result: 12.566370614359172

function mainFunction(params) {
  const radius = params?.radius;
  if (!Number.isFinite(radius) || radius < 0) {
    throw new TypeError("circle_area needs { radius }: a finite number that is not negative");
  }
  return Math.PI * radius * radius;
}
