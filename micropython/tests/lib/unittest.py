# As much of unittest as MicroPython's tests of TLS use, with the summary that their runner reads.
import __main__


class TestCase:
    def setUp(self):
        pass

    def tearDown(self):
        pass

    def assertTrue(self, value, message=None):
        assert value, message or repr(value)

    def assertEqual(self, first, second, message=None):
        assert first == second, message or "%r, not %r" % (first, second)

    def assertRaises(self, kind, function, *arguments, **keywords):
        try:
            function(*arguments, **keywords)
        except kind:
            return
        raise AssertionError("%r was not raised" % kind)


def main():
    ran = failed = 0
    for name in dir(__main__):
        case = getattr(__main__, name)
        if not (isinstance(case, type) and issubclass(case, TestCase)):
            continue
        for method in dir(case):
            if not method.startswith("test"):
                continue
            test = case()
            ran += 1
            try:
                test.setUp()
                getattr(test, method)()
                test.tearDown()
            except Exception as error:
                failed += 1
                print("FAIL:", method, repr(error))
    print("-" * 70)
    print("Ran %d tests\n" % ran)
    print("FAILED (failures=%d, errors=0)" % failed if failed else "OK")
